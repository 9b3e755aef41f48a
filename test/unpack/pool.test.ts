import { closeSync, openSync, readdirSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { sha256 } from '../../src/oci/digest.ts'
import { check, ENOSYS, wrap } from '../../src/sys/libc.ts'
import { extractorsOf } from '../support/children.ts'
import { tar } from '../support/tar.ts'
import { diffIdOf, hashOf, impliedIn, isEmulated, type Lab, namesIn, openLab, splitLines } from './lab.ts'

const big = Buffer.alloc(9_000_000, 'a layer larger than the ring ')
const layer = tar([
  { name: 'etc/', type: 'dir' },
  { name: 'etc/motd', content: 'hello' },
  { name: 'big', content: big },
])
const { signal } = new AbortController()

describe.each([1, 2] as const)('the unpacker, with %d threads a layer', (threads) => {
  let lab: Lab
  beforeAll(async () => {
    lab = await openLab({}, { threads })
  })
  afterAll(() => lab[Symbol.asyncDispose]())

  it.each([
    ['plain', layer],
    ['gzip', gzipSync(layer)],
    ['zstd', zstdCompressSync(layer)],
  ])('unpacks %s layers, whatever the chunks', async (_codec, blob) => {
    for (const chunk of [1_000, 65_536, blob.length]) {
      const { layer: facts, diff } = await lab.unpack(blob, { diffId: diffIdOf(layer), chunk })
      expect(readFileSync(`${diff}/etc/motd`, 'utf8')).toBe('hello')
      expect(readFileSync(`${diff}/big`).equals(big)).toBe(true)
      expect(facts).toMatchObject({ blobSize: blob.length, diffSize: layer.length, entries: 3, whiteouts: 0 })
    }
  })

  it('says meanwhile how much of the tar there has been', async () => {
    const blob = gzipSync(layer)
    const source = { kind: 'blob', digest: sha256(blob), size: blob.length, host: 'test' } as const
    await using unpacking = await lab.unpacker.open({ dir: await lab.dir(), diffId: diffIdOf(layer), source }, { signal })
    expect(unpacking.unpacked).toBe(0)
    await unpacking.write(blob)
    const kib = 1024 * Math.floor(layer.length / 1024)
    await vi.waitFor(() => expect(unpacking.unpacked).toBe(kib), { timeout: 20_000, interval: 5 })
    await unpacking.finish()
    expect(unpacking.unpacked).toBe(0)
  })

  it('takes the time of inflating without that of waiting for the first bytes', async () => {
    const blob = gzipSync(layer)
    // Both workers have started.
    await Promise.all([lab.unpack(blob, { diffId: diffIdOf(layer) }), lab.unpack(blob, { diffId: diffIdOf(layer) })])
    const source = { kind: 'blob', digest: sha256(blob), size: blob.length, host: 'test' } as const
    await using unpacking = await lab.unpacker.open({ dir: await lab.dir(), diffId: diffIdOf(layer), source }, { signal })
    await delay(300)
    await unpacking.write(blob)
    const { inflateMs, waitMs } = await unpacking.finish()
    expect(waitMs).toBeGreaterThan(200)
    expect(inflateMs).toBeGreaterThan(0)
  })

  it('says which digest is wrong: the blob, or what it unpacks to', async () => {
    const wrong = sha256('something else')
    expect(await lab.refusal(layer, { diffId: diffIdOf(Buffer.from('x')) })).toMatchObject({
      kind: 'digest-mismatch',
      what: 'diffID',
      got: sha256(layer),
    })
    const source = { kind: 'blob', digest: wrong, size: layer.length, host: 'test' } as const
    await using unpacking = await lab.unpacker.open({ dir: await lab.dir(), diffId: diffIdOf(layer), source }, { signal })
    await unpacking.write(layer)
    await expect(unpacking.finish()).rejects.toMatchObject({
      failure: { kind: 'digest-mismatch', what: 'layer', want: wrong, got: sha256(layer) },
    })
  })

  it('blames the blob when damage breaks the stream', async () => {
    const blob = gzipSync(layer)
    const damaged = Buffer.from(blob)
    damaged.fill(0, 100, 200)
    const source = { kind: 'blob', digest: sha256(blob), size: blob.length, host: 'a.example' } as const
    await using unpacking = await lab.unpacker.open({ dir: await lab.dir(), diffId: diffIdOf(layer), source }, { signal })
    await unpacking.write(damaged)
    await expect(unpacking.finish()).rejects.toMatchObject({
      failure: { kind: 'digest-mismatch', what: 'layer', from: 'a.example' },
    })
  })

  it('says that bytes are missing', async () => {
    const source = { kind: 'blob', digest: sha256(layer), size: layer.length, host: 'test' } as const
    await using unpacking = await lab.unpacker.open({ dir: await lab.dir(), diffId: diffIdOf(layer), source }, { signal })
    await unpacking.write(layer.subarray(0, 10_000))
    await expect(unpacking.finish()).rejects.toMatchObject({
      failure: { kind: 'size-mismatch', want: layer.length, got: 10_000 },
    })
  })

  it('stops a job that is aborted while its writer waits, and serves the next one with the same worker', async () => {
    for (let round = 0; round < 10; round++) {
      const abort = new AbortController()
      const source = { kind: 'blob', digest: sha256(layer), size: layer.length, host: 'test' } as const
      await using unpacking = await lab.unpacker.open({ dir: await lab.dir(), diffId: diffIdOf(layer), source }, abort)
      const writing = Promise.resolve(unpacking.write(Buffer.alloc(20_000_000)))
      abort.abort()
      await expect(Promise.all([writing, unpacking.finish()])).rejects.toMatchObject({ failure: { kind: 'cancelled' } })
      const { diff } = await lab.unpack(gzipSync(layer), { diffId: diffIdOf(layer) })
      expect(hashOf(`${diff}/big`)).toBe(sha256(big).slice(7))
    }
  })

  it('lets go of everything when a job is disposed early', async () => {
    const dir = await lab.dir()
    {
      const source = { kind: 'blob', digest: sha256(layer), size: layer.length, host: 'test' } as const
      await using unpacking = await lab.unpacker.open({ dir, diffId: diffIdOf(layer), source }, { signal })
      await unpacking.write(layer.subarray(0, 5_000))
    }
    rmSync(dir, { recursive: true })
    expect((await lab.unpack(layer)).layer.entries).toBe(3)
  })

  it('fails the job whose directory cannot be written to, and no other', async () => {
    const dir = await lab.dir()
    writeFileSync(`${dir}/diff`, 'in the way')
    await expect(lab.unpack(layer, { dir })).rejects.toMatchObject({ failure: { kind: 'system', code: 'EEXIST' } })
    expect((await lab.unpack(layer)).layer.entries).toBe(3)
  })

  it.skipIf(isEmulated)('has one worker ready for a layer that is announced, and gives it that layer', async () => {
    const before = new Set(extractorsOf(process.pid))
    const started = (): number[] => extractorsOf(process.pid).filter((pid) => !before.has(pid))
    const descriptors = (): number => readdirSync('/proc/self/fd').length
    const openBefore = descriptors()
    await using own = await openLab({}, { threads })
    own.unpacker.startWorker()
    own.unpacker.startWorker()
    await vi.waitFor(() => expect(started()).toHaveLength(1), 20_000)
    const ready = started()
    expect((await own.unpack(layer)).layer.entries).toBe(3)
    expect(started()).toEqual(ready)
    await own.unpacker[Symbol.asyncDispose]()
    expect(started()).toEqual([])
    // The thread that started it is gone too, with what its loop had open.
    const open = descriptors()
    expect(open).toBeLessThanOrEqual(openBefore)
    // One that is to be started has its socket and its ring at once.
    own.unpacker.startWorker()
    expect(descriptors()).toBe(open)
  })

  it('is put away once, however often that is asked', async () => {
    const own = await openLab({}, { threads })
    await own.unpack(layer)
    await Promise.all([own.unpacker[Symbol.asyncDispose](), own.unpacker[Symbol.asyncDispose]()])
    await own[Symbol.asyncDispose]()
  })
})

/** cachestat(2), since Linux 6.5: pages of a file that are in memory, and of those that only are there. */
function cachedPages(path: string): { readonly pages: number; readonly dirty: number } {
  const [range, counts] = [Buffer.alloc(16), Buffer.alloc(40)]
  const fd = openSync(path, 'r')
  try {
    check(cachestat(CACHESTAT, fd, range, counts, 0), 'cachestat', path)
    return { pages: Number(counts.readBigUInt64LE(0)), dirty: Number(counts.readBigUInt64LE(8)) }
  } finally {
    closeSync(fd)
  }
}
const cachestat = wrap<[number: number, fd: number, range: Buffer, counts: Buffer, flags: number]>('syscall', 'int64', [
  'int64',
  'int64',
  'void *',
  'void *',
  'int64',
])
const CACHESTAT = 451
const TMPFS = 0x01021994
const hidesIt = cachestat(CACHESTAT, -1, Buffer.alloc(16), Buffer.alloc(40), 0) === -ENOSYS || statfsSync(tmpdir()).type === TMPFS
if (hidesIt)
  console.warn('skipped: how much of a file is on disk needs cachestat (Linux 6.5) and a temporary directory on a disk')

describe.skipIf(isEmulated || hidesIt)('the disk', () => {
  const parts = [{ name: 'large', content: big }, { name: 'medium', content: big.subarray(0, 70_000) }, { name: 'none' }]
  it.each([1, 2] as const)('begins with what is large while the rest is unpacked, by %d threads', async (threads) => {
    await using lab = await openLab({}, { threads, writesBack: true })
    const { diff } = await lab.tree(parts)
    expect(readFileSync(`${diff}/large`).equals(big)).toBe(true)
    for (const name of ['large', 'medium']) {
      const cached = cachedPages(`${diff}/${name}`)
      expect(cached.dirty).toBeLessThan(cached.pages / 2)
    }
  })
})

describe('tar-split', () => {
  it('holds every byte that is not content, and a checksum for what is', async () => {
    await using lab = await openLab()
    const { tarSplit } = await lab.tree([
      { name: 'nine', content: '123456789' },
      { name: 'none' },
      { name: Buffer.from([0xff, 0x41]) },
    ])
    const files = splitLines(tarSplit).filter((line) => line.type === 1)
    expect(files).toEqual([
      { type: 1, name: 'nine', size: 9, payload: Buffer.from('b90956c775a41001', 'hex').toString('base64'), position: 1 },
      { type: 1, name: 'none', payload: null, position: 3 },
      { type: 1, name_raw: '/0E=', payload: null, position: 5 },
    ])
  })

  it('gives the layer again, under the same diffID', async () => {
    await using lab = await openLab()
    const blob = tar([
      { name: 'usr/lib/', type: 'dir', mode: 0o1755 },
      { name: 'lib', type: 'symlink', link: 'usr/lib' },
      { name: 'lib/through-a-link', content: 'found' },
      { name: Buffer.from('caf\xe9', 'latin1'), content: 'not UTF-8' },
      { name: 'etc/.wh.gone' },
      { name: 'big', content: big },
    ])
    const first = await lab.unpack(blob)
    const dir = await lab.dir()
    const source = { kind: 'local', diff: first.diff, tarSplit: first.tarSplit } as const
    await using unpacking = await lab.unpacker.open({ dir, diffId: diffIdOf(blob), source }, { signal })
    const again = await unpacking.finish()
    expect(again).toMatchObject({ blobSize: 0, diffSize: blob.length, entries: 6, whiteouts: 1 })
    expect([...impliedIn(dir)].toSorted()).toEqual(['etc', 'usr'])
    expect(namesIn(`${dir}/diff`)).toEqual(namesIn(first.diff))
    expect(readFileSync(`${dir}/tar-split.gz`).equals(readFileSync(first.tarSplit))).toBe(true)
    expect(statSync(`${dir}/diff/etc/gone`).isCharacterDevice()).toBe(true)
  })

  it('finds a copy that is damaged', async () => {
    await using lab = await openLab()
    const first = await lab.unpack(layer)
    const source = { kind: 'local', diff: first.diff, tarSplit: first.tarSplit } as const
    const again = async () => {
      await using unpacking = await lab.unpacker.open({ dir: await lab.dir(), diffId: diffIdOf(layer), source }, { signal })
      return await unpacking.finish()
    }
    writeFileSync(`${first.diff}/etc/motd`, 'hallo')
    await expect(again()).rejects.toMatchObject({ failure: { kind: 'digest-mismatch', what: 'diffID' } })
    rmSync(`${first.diff}/etc/motd`)
    await expect(again()).rejects.toMatchObject({ failure: { kind: 'bad-layer' } })
  })
})
