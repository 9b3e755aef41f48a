/** T44, T48, T49, T55: what a layer may cost. Most of it is measured in a process of its own (measure.ts). */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempDisposableSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { mounted } from '../../integration/process.ts'
import { paxRecord, type TarPart, tar } from '../../support/tar.ts'
import { diffIdOf, type Lab, openLab } from '../lab.ts'
import { badLayer, isRoot } from './corpus.ts'

const limit = (setting: string) => ({ kind: 'limit', setting: `limits.${setting}`, digest: expect.any(String) })
const files = (count: number): TarPart[] => Array.from({ length: count }, (_, i) => ({ name: `f${i}` }))

describe.skipIf(!isRoot)('bounds', () => {
  it('T44 entries stop a layer, and so do directories made on the way', async () => {
    await using lab = await openLab({ maxLayerEntries: 10 })
    expect((await lab.tree(files(10))).layer.entries).toBe(10)
    expect(await lab.refusal(tar(files(11)))).toMatchObject(limit('maxLayerEntries'))
    expect(await lab.refusal(tar([{ name: `${'d/'.repeat(10)}f` }]))).toMatchObject(limit('maxLayerEntries'))
  })

  it('T44 the size of what comes out stops a layer, whichever part of the tar it is', async () => {
    await using lab = await openLab({ maxUnpackedSize: 4_000_000 })
    const zeros = Buffer.alloc(9_000_000)
    const bombs = [
      tar([{ name: 'zeros', content: zeros }]),
      Buffer.concat([tar([{ name: 'behind the end' }]), zeros]),
      tar(files(8_000)),
    ]
    for (const bomb of bombs)
      for (const blob of [bomb, gzipSync(bomb), zstdCompressSync(bomb)])
        expect(await lab.refusal(blob, { diffId: diffIdOf(bomb) })).toMatchObject(limit('maxUnpackedSize'))
    expect(lab.victimUnchanged()).toBe(true)
  })

  it('T44 the ratio stops a layer that is small so far', async () => {
    await using lab = await openLab({ maxCompressionRatio: 50 })
    const zeros = tar([{ name: 'zeros', content: Buffer.alloc(30_000_000) }])
    for (const blob of [gzipSync(zeros), zstdCompressSync(zeros)])
      expect(await lab.refusal(blob, { diffId: diffIdOf(zeros) })).toMatchObject(limit('maxCompressionRatio'))
  })

  it('T44 a zstd window of more than 128 MiB is refused before memory is taken for it', async () => {
    await using lab = await openLab()
    // Frame header descriptor 0, window descriptor: exponent 18 is 256 MiB (RFC 8878 §3.1.1.1.2).
    const frame = (exponent: number): Buffer => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3, 1, 0, 0])
    expect(await lab.refusal(frame(18))).toMatchObject({ ...badLayer, reason: expect.stringContaining('memory') })
    expect((await lab.unpack(frame(17), { diffId: diffIdOf(Buffer.alloc(0)) })).layer.entries).toBe(0)
  })

  it('T44 a file system that would fill up stops a layer before it has, and is as it was after', async () => {
    await using lab = await openLab()
    // Below what the unpacker may write to.
    const small = await lab.dir()
    using _fs = mounted(small, ['-t', 'tmpfs', '-o', 'size=32m,nr_inodes=1000', 'tmpfs'])
    const free = () => (({ bavail, ffree }) => ({ bavail, ffree }))(statfsSync(small))
    const before = free()
    const noise = tar([{ name: 'large', content: Buffer.concat(Array(50).fill(randomBytes(1_000_000))) }])
    for (const [what, blob, diffId] of [
      ['bytes that unpack to too many', zstdCompressSync(noise), diffIdOf(noise)],
      ['a blob that could not fit', noise, diffIdOf(noise)],
      ['too many inodes', tar(files(2_000)), undefined],
    ] as const)
      expect([what, await failing(lab, small, blob, diffId)]).toEqual([what, 'no-space'])
    // A reserve was left for others all the time, so nothing had to be told ENOSPC by the kernel.
    expect(free()).toEqual(before)
  })

  it('T55 one name in 10⁵ extended headers, and xattrs of 1 MiB a thousand times, stop early', async () => {
    await using lab = await openLab({ maxLayerMetadata: 2 ** 22, maxUnpackedSize: 2 ** 33 })
    const header: TarPart = { name: 'x', flag: 'x', content: paxRecord('path', 'again') }
    expect((await lab.refusal(tar([...Array<TarPart>(100_000).fill(header), { name: 'f' }]))).kind).toMatch(/^(limit|bad-layer)$/)
    const heavy: TarPart[] = Array.from({ length: 20 }, (_, i) => ({ name: `f${i}`, pax: { comment: 'c'.repeat(1_000_000) } }))
    expect(await lab.refusal(tar(heavy))).toMatchObject(limit('maxLayerMetadata'))
    // The kernel takes 64 KiB for one xattr, most file systems less.
    const xattrs = { 'user.a': Buffer.alloc(1_000_000, 'a') }
    expect(await lab.refusal(tar([{ name: 'f', xattrs }]))).toMatchObject({
      ...badLayer,
      reason: expect.stringContaining('user.a'),
    })
  })

  it('T55 a name and a few labels on every entry are no flood', async () => {
    await using lab = await openLab({ maxLayerMetadata: 2 ** 10, maxLayerEntries: 5_000 })
    const labelled: TarPart[] = Array.from({ length: 4_000 }, (_, i) => ({
      name: `${'long-'.repeat(30)}${i}`,
      xattrs: { 'security.selinux': 's'.repeat(60), 'user.a': 'x' },
    }))
    expect((await lab.tree(labelled)).layer.entries).toBe(4_000)
  })

  it('T55 what a few entries leave out is megabytes of paths, which go to a file and not to the daemon', async () => {
    await using lab = await openLab({ maxLayerMetadata: 2 ** 26, maxLayerEntries: 100_000 })
    const deep: TarPart[] = Array.from({ length: 4 }, (_, i) => ({ name: `${i}/${'d/'.repeat(2_000)}f` }))
    const { layer, implied } = await lab.tree(deep)
    expect(implied.length).toBe(4 * 2_001)
    expect(implied.join('').length).toBeGreaterThan(2 ** 23)
    expect(JSON.stringify(layer).length).toBeLessThan(1_000)
  })

  it('T55 deep paths whose directories a tar leaves out are not kept without bound', async () => {
    await using lab = await openLab({ maxLayerMetadata: 2 ** 20, maxLayerEntries: 100_000 })
    const deep: TarPart[] = Array.from({ length: 10 }, (_, i) => ({ name: `${i}/${'d/'.repeat(1_000)}f` }))
    expect(await lab.refusal(tar(deep))).toMatchObject(limit('maxLayerMetadata'))
  })
})

describe.skipIf(!isRoot)('what unpacking costs', () => {
  it.each(['dirs', 'scattered', 'files'])('T48 memory is flat for many %s', { timeout: 240_000 }, (layer) => {
    const [, large] = measured(layer, 20_000, 250_000)
    expect(large?.entries).toBe(250_000)
    // On top of a warm process; a record of every directory would take twice that.
    expect(large?.rssMiB).toBeLessThan(48)
  })

  it.each([
    ['opaque', 2_000],
    ['opaques', 1_000],
    ['whiteouts', 1_000],
    ['deep', 600],
    ['chain', 300],
    ['replaced', 2_000],
    ['uprooted', 1_000],
    ['links', 2_000],
    ['implied', 1_000],
  ] as const)('T49 twice as much of %s takes at most 2.3 times as long', { timeout: 240_000, retry: 2 }, (layer, n) => {
    // Chains and deep trees cost something before the first file; the counts are those of what repeats.
    const base = layer === 'chain' ? 250 : 0
    const times = measured(
      layer,
      base + n,
      ...Array(5)
        .fill([base + n, base + 2 * n])
        .flat(),
    )
    const least = (count: number): number =>
      Math.min(
        ...times
          .slice(1)
          .filter(({ asked }) => asked === count)
          .map(({ cpuMs }) => cpuMs),
      )
    expect(least(base + 2 * n) / least(base + n)).toBeLessThanOrEqual(2.3)
  })
})

type Measured = { readonly asked: number; readonly entries: number; readonly cpuMs: number; readonly rssMiB: number }

function measured(layer: string, ...counts: number[]): Measured[] {
  const args = ['--max-semi-space-size=4', new URL('./measure.ts', import.meta.url).pathname, layer, ...counts.map(String)]
  // Every file system has its own idea of a million files; memory is the same everywhere.
  using temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-measure-'))
  using _fs = mounted(temporary.path, ['-t', 'tmpfs', '-o', 'nr_inodes=0', 'tmpfs'])
  const env = { ...process.env, TMPDIR: temporary.path }
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8', env })
  if (status !== 0) throw new Error(stderr)
  return stdout
    .trimEnd()
    .split('\n')
    .map((line, at) => ({ ...JSON.parse(line), asked: counts[at] ?? 0 }))
}

/** The kind of failure of a layer unpacked below `place`, from where everything is removed again. */
async function failing(lab: Lab, place: string, blob: Buffer, diffId = diffIdOf(blob)): Promise<string> {
  const dir = join(place, 'layer')
  mkdirSync(dir)
  const free = statfsSync(place)
  try {
    return (await lab.refusal(blob, { diffId, dir })).kind
  } finally {
    const left = statfsSync(place)
    expect(left.bavail).toBeGreaterThan(0)
    expect(left.ffree).toBeGreaterThan(0)
    expect(free.blocks).toBe(left.blocks)
    rmSync(dir, { recursive: true })
  }
}
