/**
 * What is published survives a power cut, and what did not reach the disk is never published. The cut is real as far as ext4 is
 * concerned: FS_IOC_SHUTDOWN on a loop device drops everything that is not on it, and makes every later sync fail.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hexOf } from '../../../src/oci/digest.ts'
import { openLocalStore } from '../../../src/store/local/local.ts'
import type { Store } from '../../../src/store/store.ts'
import { AT, check, cstr, wrap } from '../../../src/sys/libc.ts'
import { openDirectory } from '../../../src/sys/tree.ts'
import { eventually } from '../../integration/node.ts'
import { commitLayer, diffIdOf, imageOver, type LayerSpec } from '../fixtures.ts'

const ready = process.getuid?.() === 0 && existsSync('/sbin/mkfs.ext4') && existsSync('/dev/loop-control')
if (!ready) console.warn('SKIPPED: power cuts need root, loop devices and mkfs.ext4')

const ioctl = wrap<[fd: number, request: number, argument: Buffer]>('ioctl', 'int', ['int', 'ulong', 'void *'])
const FS_IOC_SHUTDOWN = 0x8004587d
/** Do not even flush the journal: as if the plug had been pulled. */
const NOLOGFLUSH = 2

const { signal } = new AbortController()
const tag = 'registry.test/app:1'
const FILES = 300
/** As few as are synced one by one. */
const FEW_FILES = 20

const many = (name: string): LayerSpec => ({ name, write: (diff) => writeMany(diff, name, FILES) })

function writeMany(diff: string, name: string, files: number): void {
  for (let i = 0; i < files; i++) {
    mkdirSync(join(diff, `dir${i % 10}`), { recursive: true })
    writeFileSync(join(diff, `dir${i % 10}/file${i}`), contentOf(name, i))
  }
}
const contentOf = (name: string, i: number): string => createHash('sha256').update(`${name} ${i}`).digest('hex').repeat(50)

function badFiles(diff: string, name: string, files = FILES): number {
  const isGood = (i: number): boolean => {
    const path = join(diff, `dir${i % 10}/file${i}`)
    return existsSync(path) && readFileSync(path, 'utf8') === contentOf(name, i)
  }
  return Array.from({ length: files }, (_, i) => i).filter((i) => !isGood(i)).length
}

describe.skipIf(!ready)('power cuts (need root and loop devices)', () => {
  let top: string
  let disk: string

  const attach = (): void => void execFileSync('mount', ['-o', 'loop', join(top, 'image'), disk])
  const cut = (): void => {
    using root = openDirectory(AT.FDCWD, cstr(disk))
    const flags = Buffer.alloc(4)
    flags.writeUInt32LE(NOLOGFLUSH)
    check(ioctl(root.fd, FS_IOC_SHUTDOWN, flags), 'ioctl FS_IOC_SHUTDOWN')
  }
  const open = (isLazy = false): Promise<Store> => openLocalStore({ root: join(disk, 'root'), isLazy }, { signal })
  /** After the cut nothing can be written, a clean end not either. */
  const abandon = async (store: Store): Promise<void> => {
    await Promise.allSettled([store[Symbol.asyncDispose]()])
    execFileSync('umount', [disk])
    // A mount namespace that is being made elsewhere may hold a copy of the mount for a moment, and with it the file system that is shut.
    const isHeld = (): boolean => execFileSync('losetup', ['-j', join(top, 'image')], { encoding: 'utf8' }) !== ''
    await eventually(async () => !isHeld(), { signal: AbortSignal.timeout(20_000) })
    attach()
  }

  beforeEach(() => {
    top = mkdtempSync(join(os.tmpdir(), 'windlass-power-'))
    disk = join(top, 'disk')
    mkdirSync(disk)
    execFileSync('truncate', ['-s', '128M', join(top, 'image')])
    // Blocks like a node's: a small file system gets smaller ones by itself.
    execFileSync('mkfs.ext4', ['-q', '-b', '4096', '-E', 'lazy_itable_init=0,lazy_journal_init=0,nodiscard', join(top, 'image')])
    attach()
  })
  afterEach(() => {
    execFileSync('umount', [disk])
    rmSync(top, { recursive: true })
  })

  test('a published image has every byte after the cut; a layer that was only committed is gone', async () => {
    const store = await open()
    await using lease = store.lease()
    await lease.retain([(await commitLayer(store, many('base'))).id])
    await store.publish(imageOver(['base'], { tag }), { signal })
    await commitLayer(store, many('unpublished'))
    cut()
    await abandon(store)
    await using after = await open()
    const image = await after.find(tag)
    expect(image?.layerIds).toHaveLength(1)
    expect(badFiles((await after.layer(image?.layerIds[0] ?? imageless()))?.diff ?? '', 'base')).toBe(0)
    expect(readdirSync(after.overlayDir).toSorted()).toEqual([...(image?.layerIds ?? []), 'l'].toSorted())
  })

  test('a lazy store syncs nothing: an image is shown that has lost its files', async () => {
    const store = await open(true)
    await using lease = store.lease()
    await lease.retain([(await commitLayer(store, many('base'))).id])
    await store.publish(imageOver(['base'], { tag }), { signal })
    cut()
    await abandon(store)
    await using after = await open()
    const image = await after.find(tag)
    const layer = await after.layer(image?.layerIds[0] ?? imageless())
    expect(badFiles(layer?.diff ?? '', 'base')).toBeGreaterThan(0)
  })

  test('few files are on disk when their image is published, and what a neighbour has not synced is left to it', async () => {
    const store = await open()
    await using lease = store.lease()
    const base = await commitLayer(store, many('base'))
    await lease.retain([base.id])
    await store.publish(imageOver(['base'], { tag }), { signal })
    const few: LayerSpec = { name: 'few', write: (diff) => writeMany(diff, 'few', FEW_FILES) }
    const layer = await commitLayer(store, few, base)
    await lease.retain([layer.id])
    const neighbour = join(disk, 'neighbour')
    writeFileSync(neighbour, 'x'.repeat(1_000_000))
    const { image } = await store.publish(imageOver(['base', 'few'], { tag }), { signal })
    cut()
    await abandon(store)
    // Its name may be, since the journal is everybody's; not one of its bytes.
    expect(existsSync(neighbour) ? readFileSync(neighbour).length : 0).toBe(0)
    await using after = await open()
    expect((await after.find(tag))?.id).toBe(image.id)
    expect(badFiles((await after.layer(layer.id))?.diff ?? '', 'few', FEW_FILES)).toBe(0)
    expect(badFiles((await after.layer(base.id))?.diff ?? '', 'base')).toBe(0)
    expect(existsSync((await after.layer(layer.id))?.tarSplit ?? '')).toBe(true)
  })

  test('many images that come together are many files, whatever layers they add', async () => {
    const store = await open()
    await using lease = store.lease()
    await lease.retain([(await commitLayer(store, many('base'))).id])
    await store.publish(imageOver(['base'], { tag }), { signal })
    const neighbour = join(disk, 'neighbour')
    writeFileSync(neighbour, 'x'.repeat(1_000_000))
    const labels = Array.from({ length: 60 }, (_, i) => `image ${i}`)
    await Promise.all(labels.map((label) => store.publish(imageOver(['base'], { label }), { signal })))
    cut()
    await abandon(store)
    expect(readFileSync(neighbour)).toHaveLength(1_000_000)
    await using after = await open()
    expect(await after.images()).toHaveLength(1 + labels.length)
  })

  test('few files in a root that a link leads to are synced as well', async () => {
    mkdirSync(join(disk, 'elsewhere'))
    symlinkSync('elsewhere', join(disk, 'root'))
    await using store = await open()
    await using lease = store.lease()
    await lease.retain([(await commitLayer(store, { name: 'few' })).id])
    const { image } = await store.publish(imageOver(['few'], { tag }), { signal })
    expect(image.tags).toEqual([tag])
  })

  test.each<[string, (path: string) => void]>([
    ['a large file', (path) => writeFileSync(path, Buffer.alloc(33 * 2 ** 20))],
    ['a link', (path) => symlinkSync('file0', path)],
    ['a device', (path) => execFileSync('mknod', [path, 'c', '0', '0'])],
    ['a pipe', (path) => execFileSync('mkfifo', [path])],
  ])('%s among few files has everything synced', async (_what, make) => {
    const store = await open()
    const write = (diff: string): void => {
      writeMany(diff, 'few', FEW_FILES)
      make(join(diff, 'special'))
    }
    const layer = await commitLayer(store, { name: 'few', write })
    await using lease = store.lease()
    await lease.retain([layer.id])
    const neighbour = join(disk, 'neighbour')
    writeFileSync(neighbour, 'x'.repeat(1_000_000))
    await store.publish(imageOver(['few'], { tag }), { signal })
    cut()
    await abandon(store)
    expect(readFileSync(neighbour)).toHaveLength(1_000_000)
    await using after = await open()
    expect(badFiles((await after.layer(layer.id))?.diff ?? '', 'few', FEW_FILES)).toBe(0)
    expect(lstatSync(join(layer.diff, 'special'))).toBeDefined()
  })

  test('where the database is lost in the cut, what is rebuilt has every byte, and no more than was published', async () => {
    const store = await open()
    await using lease = store.lease()
    await lease.retain([(await commitLayer(store, many('base'))).id])
    const { image } = await store.publish(imageOver(['base'], { tag }), { signal })
    await commitLayer(store, many('unpublished'))
    cut()
    await abandon(store)
    for (const name of readdirSync(join(disk, 'root'))) if (name.startsWith('windlass.db')) rmSync(join(disk, 'root', name))
    await using after = await open()
    expect((await after.images()).map(({ id, tags }) => [id, tags])).toEqual([[image.id, [tag]]])
    expect(badFiles((await after.layer(image.layerIds[0] ?? imageless()))?.diff ?? '', 'base')).toBe(0)
    expect(readdirSync(after.overlayDir).toSorted()).toEqual([...image.layerIds, 'l'].toSorted())
  })

  test('what podman and CRI-O read of it survives as well, before anything is mended', async () => {
    const store = await open()
    await using lease = store.lease()
    await lease.retain([(await commitLayer(store, many('base'))).id])
    const { image } = await store.publish(imageOver(['base'], { tag }), { signal })
    const shown = (): unknown =>
      ['overlay-images', `overlay-images/${hexOf(image.id)}`, 'overlay-layers'].map((directory) =>
        readdirSync(join(disk, 'root', directory), { withFileTypes: true })
          // Readers forget what was in a lock file with the machine's end.
          .filter((entry) => entry.isFile() && !entry.name.endsWith('.lock'))
          .map(({ name }) => [name, readFileSync(join(disk, 'root', directory, name), 'latin1')]),
      )
    const before = shown()
    cut()
    await abandon(store)
    expect(shown()).toEqual(before)
  })

  test("a layer that took a damaged one's place has every byte after the cut, and is known to be sound", async () => {
    const store = await open()
    await using lease = store.lease()
    const { id } = await commitLayer(store, many('base'))
    await lease.retain([id])
    await store.publish(imageOver(['base'], { tag }), { signal })
    const layer = (await store.layer(id)) ?? imageless()
    for (const name of readdirSync(layer.diff)) rmSync(join(layer.diff, name), { recursive: true })
    await store.health?.mark(layer, { foundAt: new Date(), differences: FILES, first: 'all of it' })
    await commitLayer(store, many('base'))
    cut()
    await abandon(store)
    await using after = await open()
    expect((await after.layer(id))?.damage).toBeUndefined()
    expect(badFiles((await after.layer(id))?.diff ?? '', 'base')).toBe(0)
    expect(await after.find(tag)).toBeDefined()
  })

  test('a replacement that the disk did not take leaves the layer marked, whatever tree it has', async () => {
    const store = await open()
    await using lease = store.lease()
    const { id } = await commitLayer(store, many('base'))
    await lease.retain([id])
    await store.publish(imageOver(['base'], { tag }), { signal })
    const layer = (await store.layer(id)) ?? imageless()
    await store.health?.mark(layer, { foundAt: new Date(), differences: 1, first: 'a file' })
    await expect(commitLayer(store, { ...many('base'), tamper: cut })).rejects.toThrow()
    await abandon(store)
    await using after = await open()
    expect((await after.layer(id))?.damage).toMatchObject({ first: 'a file' })
    await commitLayer(after, many('base'))
    expect((await after.layer(id))?.damage).toBeUndefined()
    expect(badFiles(layer.diff, 'base')).toBe(0)
  })

  test('the same files without a publish do not survive: the test can fail', async () => {
    const store = await open()
    const layer = await commitLayer(store, many('base'))
    cut()
    await abandon(store)
    expect(badFiles(layer.diff, 'base')).toBe(FILES)
  })

  test('a failed sync publishes nothing, and its layers are never published later', async () => {
    await using store = await open()
    const layer = await commitLayer(store, many('base'))
    await using lease = store.lease()
    await lease.retain([layer.id])
    const staged = await store.stage(diffIdOf('base'))
    cut()
    const wish = store.publish(imageOver(['base'], { tag }), { signal })
    await expect(wish).rejects.toMatchObject({ failure: { kind: 'system', operation: 'syncfs' } })
    expect(await store.find(tag)).toBeUndefined()
    expect(await store.layer(layer.id)).toBeUndefined()
    const again = store.publish(imageOver(['base'], { tag }), { signal })
    await expect(again).rejects.toMatchObject({ failure: { kind: 'system' } })
    // Nothing can be moved on this disk any more: that is logged, and tried again.
    await staged[Symbol.asyncDispose]()
    expect(existsSync(staged.dir)).toBe(true)
  })
})

function imageless(): never {
  throw new Error('the image has no layers')
}
