/**
 * A disk that loses what was written behind everybody's back. The kernel tells whoever asks the file for it, and forgets it with the inode;
 * only a descriptor that was open before is told nevertheless (errseq, syncfs(2)).
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openLocalStore } from '../../../src/store/local/local.ts'
import { commitLayer, imageOver, type LayerSpec } from '../fixtures.ts'

const ready = process.getuid?.() === 0 && existsSync('/sbin/mkfs.ext4') && existsSync('/dev/loop-control')
if (!ready) console.warn('SKIPPED: failing disks need root, loop devices and mkfs.ext4')

const { signal } = new AbortController()
const tag = 'registry.test/app:1'
const FILE = 'file'
const CONTENT = 'what was pulled'.repeat(10_000)
const few: LayerSpec = { name: 'few', write: (diff) => writeFileSync(join(diff, FILE), CONTENT) }

describe.skipIf(!ready)('lost writes (need root and loop devices)', () => {
  let top: string
  let disk: string
  const run = (command: string, ...args: string[]): void => void execFileSync(command, args, { stdio: 'ignore' })

  /** Free blocks of `disk` have none below them, on a file system of which the rest can be taken. */
  beforeEach(() => {
    top = mkdtempSync(join(os.tmpdir(), 'windlass-lost-'))
    run('mount', '-t', 'tmpfs', '-o', 'size=80m', 'tmpfs', top)
    disk = join(top, 'disk')
    const [sparse, image] = [join(top, 'sparse'), join(top, 'image')]
    mkdirSync(disk)
    run('truncate', '-s', '32M', sparse)
    run('mkfs.ext4', '-q', '-b', '4096', '-E', 'lazy_itable_init=0,lazy_journal_init=0', sparse)
    run('cp', '--sparse=never', sparse, image)
    rmSync(sparse)
    run('mount', '-o', 'loop', image, disk)
  })
  afterEach(() => {
    run('umount', disk)
    run('umount', top)
    rmSync(top, { recursive: true })
  })

  /** Writes what is in memory, while there is no room for it below. */
  function loseWhatIsWritten(): void {
    run('fstrim', disk)
    const { bavail, bsize } = statfsSync(top)
    writeFileSync(join(top, 'filler'), Buffer.alloc(bavail * bsize))
    // As a neighbour might: it is told, and nobody else is.
    expect(() => run('sync', '-f', disk)).toThrow()
    rmSync(join(top, 'filler'))
  }

  /** Only what no longer fits, for what is open is kept. */
  function forget(file: string): void {
    run('dd', `if=${file}`, 'iflag=nocache', 'count=0')
    writeFileSync('/proc/sys/vm/drop_caches', '2')
  }

  test('what was lost and forgotten before few files are synced is not published', async () => {
    await using store = await openLocalStore({ root: join(disk, 'root') }, { signal })
    await using lease = store.lease()
    const layer = await commitLayer(store, few)
    await lease.retain([layer.id])
    loseWhatIsWritten()
    forget(join(layer.diff, FILE))
    // The test can fail: it is lost.
    expect(readFileSync(join(layer.diff, FILE), 'utf8')).not.toBe(CONTENT)
    forget(join(layer.diff, FILE))
    const published = store.publish(imageOver(['few'], { tag }), { signal })
    await expect(published).rejects.toMatchObject({ failure: { kind: expect.stringMatching(/system|no-space/) } })
    expect(await store.find(tag)).toBeUndefined()
  })

  test('what was lost is told once: the pull that comes after it is whole', async () => {
    await using store = await openLocalStore({ root: join(disk, 'root') }, { signal })
    await using lease = store.lease()
    await lease.retain([(await commitLayer(store, few)).id])
    loseWhatIsWritten()
    await expect(store.publish(imageOver(['few'], { tag }), { signal })).rejects.toThrow()
    const write = (diff: string): void => {
      for (let i = 0; i < 100; i++) writeFileSync(join(diff, `${i}`), CONTENT)
    }
    const many = await commitLayer(store, { name: 'many', write })
    await lease.retain([many.id])
    const { image } = await store.publish(imageOver(['many'], { tag }), { signal })
    expect(image.layerIds).toEqual([many.id])
  })
})
