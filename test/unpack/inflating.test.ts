import { randomBytes } from 'node:crypto'
import { closeSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { constants, deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { sha256 } from '../../src/oci/digest.ts'
import { behindNice, usualNice } from '../../src/sys/rank.ts'
import { createShared, mapShared } from '../../src/sys/shared.ts'
import { type InTime, inflateBeside } from '../../src/unpack/inflating.ts'
import { createUnpacker } from '../../src/unpack/pool.ts'
import { RING_SIZE, RingReader, RingWriter } from '../../src/unpack/ring.ts'
import type { Unpacking } from '../../src/unpack/unpack.ts'
import { extractorsOf } from '../support/children.ts'
import { tar } from '../support/tar.ts'
import { diffIdOf, isEmulated, type Lab, limits, namesIn, openLab } from './lab.ts'

const noise = randomBytes(3_000_000)
const text = Buffer.alloc(20_000_000, 'what compresses well, again and again ')
const layer = tar([
  { name: 'noise', content: noise },
  ...Array.from({ length: 500 }, (_, i) => ({ name: `d/f${i}`, content: `${i}` })),
])
const bad = tar([
  { name: 'noise', content: noise },
  { name: '../../up', type: 'hardlink', link: '/nowhere' },
  { name: 'text', content: text },
])
const bomb = gzipSync(tar([{ name: 'zeros', content: Buffer.alloc(80_000_000) }]), { level: 9 })
const { signal } = new AbortController()

/** Many gzip members of one byte each, and the rest: as many blocks. */
const crumbs = Buffer.concat(
  [...layer.subarray(0, 3_000)].map((byte) => gzipSync(Buffer.of(byte))).concat(gzipSync(layer.subarray(3_000))),
)

/** RFC 8878 §3.1.2. */
function skippable(size: number): Buffer {
  const frame = Buffer.alloc(8 + size)
  frame.writeUInt32LE(0x184d2a50, 0)
  frame.writeUInt32LE(size, 4)
  return frame
}

describe.skipIf(isEmulated)('a layer that two threads unpack', () => {
  let [one, two]: [Lab | undefined, Lab | undefined] = [undefined, undefined]
  beforeAll(async () => {
    ;[one, two] = [await openLab({}, { threads: 1 }), await openLab({}, { threads: 2 })]
  })
  afterAll(async () => {
    await one?.[Symbol.asyncDispose]()
    await two?.[Symbol.asyncDispose]()
  })
  const labs = (): readonly [Lab, Lab] => {
    if (one === undefined || two === undefined) throw new Error('no lab')
    return [one, two]
  }

  it.each([
    ['plain', layer],
    ['gzip', gzipSync(layer)],
    ['gzip of many members', crumbs],
    ['zstd', zstdCompressSync(layer)],
    [
      'zstd of two frames',
      Buffer.concat([zstdCompressSync(layer.subarray(0, 100_000)), zstdCompressSync(layer.subarray(100_000))]),
    ],
    ['zstd with a skippable frame behind', Buffer.concat([zstdCompressSync(layer), skippable(2_000_000)])],
    ['nothing at all', Buffer.alloc(0)],
  ])('is the one that a single thread unpacks: %s', async (_what, blob) => {
    const diffId = blob.length === 0 ? diffIdOf(blob) : diffIdOf(layer)
    for (const chunk of [1_000, 65_536, Math.max(1, blob.length)]) {
      const [alone, both] = await Promise.all(labs().map((lab) => lab.unpack(blob, { diffId, chunk })))
      if (alone === undefined || both === undefined) throw new Error('nothing came of it')
      const { waitMs: _w, workMs: _k, inflateMs: _i, hashMs: _h, ...facts } = alone.layer
      expect(both.layer).toMatchObject(facts)
      expect(namesIn(both.diff)).toEqual(namesIn(alone.diff))
      expect(readFileSync(both.tarSplit).equals(readFileSync(alone.tarSplit))).toBe(true)
    }
  })

  const gzip = gzipSync(layer)
  const damaged = Buffer.from(gzip)
  damaged.fill(0, 1_000_000, 1_000_100)
  const badCrc = Buffer.from(gzip)
  badCrc.writeUInt32LE(1, badCrc.length - 8)
  it.each([
    ['gzip cut in its data', gzip.subarray(0, gzip.length - 5_000)],
    ['junk behind gzip', Buffer.concat([gzip, Buffer.from('junk')])],
    ['a wrong checksum', badCrc],
    ['damage in the middle', damaged],
    ['deflate without its header', deflateRawSync(layer)],
    ['zstd cut short', zstdCompressSync(layer).subarray(0, -9)],
    ['a tar that is bad long before its end', gzipSync(bad, { level: 1 })],
    ['the same, not compressed', bad],
    ['a tar cut in a file', gzipSync(layer.subarray(0, 2_000_000))],
    ['other content', gzipSync(tar([{ name: 'other' }]))],
  ])('is refused as by a single thread: %s', async (_what, blob) => {
    const [alone, both] = await Promise.all(labs().map((lab) => lab.refusal(blob, { diffId: diffIdOf(layer) })))
    expect(both).toEqual(alone)
  })

  it('is stopped by the limits as well', async () => {
    for (const [bound, blob] of [
      [{ maxCompressionRatio: 50 }, bomb],
      [{ maxUnpackedSize: 1_000_000 }, gzip],
      [{ maxLayerEntries: 100 }, gzip],
    ] as const) {
      await using alone = await openLab(bound, { threads: 1 })
      await using both = await openLab(bound, { threads: 2 })
      const failure = await both.refusal(blob, { diffId: diffIdOf(layer) })
      expect(failure).toMatchObject({ kind: 'limit' })
      expect(failure).toEqual(await alone.refusal(blob, { diffId: diffIdOf(layer) }))
    }
  })
})

describe.skipIf(isEmulated)('a layer that is refused while a second thread inflates it', () => {
  it('leaves none of its window behind: the process goes with it', async () => {
    const content = Buffer.concat(Array.from({ length: 200 }, () => noise.subarray(0, 2 ** 20)))
    const params = {
      [constants.ZSTD_c_windowLog]: 27,
      [constants.ZSTD_c_enableLongDistanceMatching]: 1,
      [constants.ZSTD_c_contentSizeFlag]: 0,
    }
    const blob = zstdCompressSync(tar([{ name: 'f', content }]), { params })
    await using lab = await openLab({ maxUnpackedSize: 180_000_000 }, { threads: 2 })
    const before = new Set(extractorsOf(process.pid))
    const started = () => extractorsOf(process.pid).filter((pid) => !before.has(pid))
    const seen = new Set<number>()
    for (let round = 0; round < 3; round++) {
      expect(await lab.refusal(blob)).toMatchObject({ kind: 'limit' })
      for (const pid of started()) seen.add(pid)
      await vi.waitFor(() => expect(started()).toEqual([]), { timeout: 20_000, interval: 20 })
    }
    expect(seen.size).toBe(3)
  })

  it('is waited for by whoever puts the unpacker away right then', async () => {
    const blob = gzipSync(tar([{ name: 'f', content: Buffer.concat(Array.from({ length: 30 }, () => noise)) }]), { level: 1 })
    const before = { processes: new Set(extractorsOf(process.pid)), mappings: mappingsOf(process.pid) }
    for (let round = 0; round < 3; round++) {
      const lab = await openLab({ maxUnpackedSize: 40_000_000 }, { threads: 2 })
      expect(await lab.refusal(blob)).toMatchObject({ kind: 'limit' })
      await lab[Symbol.asyncDispose]()
      expect(extractorsOf(process.pid).filter((pid) => !before.processes.has(pid))).toEqual([])
      expect(mappingsOf(process.pid)).toBeLessThanOrEqual(before.mappings)
    }
  })
})

describe.skipIf(isEmulated)('a second thread', () => {
  const openPool = async (processors: number) => {
    await using opening = new AsyncDisposableStack()
    const staging = opening.use(await mkdtempDisposable(join(tmpdir(), 'windlass-inflating-'))).path
    const before = new Set(extractorsOf(process.pid))
    const started = () => extractorsOf(process.pid).filter((pid) => !before.has(pid))
    const pool = opening.use(createUnpacker({ workers: 2, processors, worthAThread: 100_000, limits, staging, warn: () => {} }))
    let count = 0
    const open = async (blob: Buffer, diffId = diffIdOf(layer)): Promise<Unpacking> => {
      const dir = join(staging, `${count++}`)
      await mkdir(dir)
      const source = { kind: 'blob', digest: sha256(blob), size: blob.length, host: 'test' } as const
      return await pool.open({ dir, diffId, source }, { signal })
    }
    const owned = opening.move()
    return { open, started, [Symbol.asyncDispose]: () => owned.disposeAsync() }
  }
  const gzip = gzipSync(layer)
  const half = gzip.subarray(0, gzip.length / 2)
  const rest = gzip.subarray(gzip.length / 2)

  it('is there while its layer is unpacked, and gone after, with the memory the two shared', async () => {
    await using pool = await openPool(2)
    for (let round = 0; round < 3; round++) {
      await using unpacking = await pool.open(gzip)
      await unpacking.write(half)
      await vi.waitFor(() => expect(pool.started().map(mappingsOf)).toEqual([2]), { timeout: 20_000, interval: 5 })
      await unpacking.write(rest)
      expect((await unpacking.finish()).entries).toBe(501)
      expect(pool.started().map(mappingsOf)).toEqual([1])
    }
  })

  it('is gone as well when the layer fails, or is left by its writer', async () => {
    await using pool = await openPool(2)
    const failing = await pool.open(gzip, diffIdOf(Buffer.from('another')))
    await failing.write(gzip)
    await expect(failing.finish()).rejects.toMatchObject({ failure: { kind: 'digest-mismatch' } })
    expect(pool.started().map(mappingsOf)).toEqual([1])
    {
      await using left = await pool.open(gzip)
      await left.write(half)
      await vi.waitFor(() => expect(pool.started().map(mappingsOf)).toEqual([2]), { timeout: 20_000, interval: 5 })
    }
    expect(pool.started().map(mappingsOf)).toEqual([1])
  })

  it.each([
    ['a small layer', 2, [layer.subarray(0, 10_000)]],
    ['a layer that another one is beside', 2, [gzip, gzip]],
    ['the only processor', 1, [gzip]],
  ])('is not started for %s', async (_what, processors, blobs) => {
    await using pool = await openPool(processors)
    const all = await Promise.all(blobs.map((blob) => pool.open(blob)))
    await Promise.all(all.map((unpacking) => unpacking.write(half.subarray(0, 9_000))))
    // They have taken what there is: by then it was decided.
    await vi.waitFor(() => expect(all.map(({ unread }) => unread)).toEqual(blobs.map(() => 0)), { timeout: 20_000, interval: 5 })
    expect(pool.started().map(mappingsOf)).toEqual(blobs.map(() => 1))
    await Promise.all(all.map((unpacking) => unpacking[Symbol.asyncDispose]()))
  })

  it('has the rank of the first', async () => {
    await using pool = await openPool(2)
    await using unpacking = await pool.open(gzip)
    await unpacking.write(half)
    await vi.waitFor(() => expect(pool.started().map(mappingsOf)).toEqual([2]), { timeout: 20_000, interval: 5 })
    const nice = () => [...new Set(pool.started().flatMap(nicesOf))]
    expect(nice()).toEqual([usualNice()])
    unpacking.rank('behind')
    expect(nice()).toEqual([behindNice()])
    unpacking.rank('usual')
    expect(nice()).toEqual([usualNice()])
  })

  it('goes to the next layer when the last one has ended', async () => {
    await using pool = await openPool(3)
    const [first, second] = [await pool.open(gzip), await pool.open(gzip)]
    await first.write(half)
    await second.write(half)
    await vi.waitFor(() => expect(pool.started().map(mappingsOf).toSorted()).toEqual([1, 2]), { timeout: 20_000, interval: 5 })
    await first[Symbol.asyncDispose]()
    await second[Symbol.asyncDispose]()
    await using third = await pool.open(gzip)
    await third.write(half)
    await vi.waitFor(() => expect(pool.started().map(mappingsOf).toSorted()).toEqual([1, 2]), { timeout: 20_000, interval: 5 })
  })
})

describe('a second thread that V8 does not let begin, or end', () => {
  const truly: InTime = (work) => work.then(() => true)
  const not: InTime = async () => false
  const job = (patience: Parameters<typeof inflateBeside>[2]) => {
    const fd = createShared(RING_SIZE)
    const writer = new RingWriter(fd)
    const reader = new RingReader(mapShared(fd, RING_SIZE), () => writer.made())
    closeSync(fd)
    writer.open()
    let spent = 0
    const more = { size: layer.length, waitedMs: 0, onSpent: () => void spent++ }
    return { writer, reader, spent: () => spent, begin: () => inflateBeside(reader, more, patience) }
  }

  it('leaves its layer to the first', async () => {
    const { writer, reader, spent, begin } = job({ hasBegun: not, hasEnded: truly })
    expect(await begin()).toBeUndefined()
    expect(spent()).toBe(0)
    writer.write(layer.subarray(0, 1000))
    expect(reader.next()).toHaveLength(1000)
  })

  it('is told of, and its memory stays', async () => {
    const { writer, spent, begin } = job({ hasBegun: truly, hasEnded: not })
    const blocks = await begin()
    writer.write(layer.subarray(0, 1000))
    writer.end()
    expect(blocks?.next()).toHaveLength(1000)
    expect(blocks?.next()).toBeUndefined()
    expect(blocks?.diffId()).toBe(sha256(layer.subarray(0, 1000)))
    await blocks?.[Symbol.asyncDispose]()
    expect(spent()).toBe(1)
  })
})

/** The nice values of a process's threads: the 19th field of each one's stat, the 17th behind its name (proc_pid_stat(5)). */
const nicesOf = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`).map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8').split(') ')[1]?.split(' ')[16]),
  )

/** How often shared memory is mapped in a process: the ring, and the slots while two threads share them. */
const mappingsOf = (pid: number): number =>
  readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .filter((line) => line.includes('memfd:windlass')).length
