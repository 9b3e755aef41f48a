/** Pulls onto a disk that is too small for all of them. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtempDisposable, readdir, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createCollector } from '../../src/gc/gc.ts'
import { Housekeeper } from '../../src/gc/housekeeper.ts'
import { hexOf, layerIds, parseDiffId, parseDigest, sha256 } from '../../src/oci/digest.ts'
import type { LayerProgress } from '../../src/pull/arrival.ts'
import { Expected, estimate } from '../../src/pull/expected.ts'
import { Partials } from '../../src/pull/partials.ts'
import type { Room } from '../../src/pull/room.ts'
import type { ComingLayer } from '../../src/store/coming.ts'
import { silent } from '../../src/store/common/log.ts'
import type { Store } from '../../src/store/store.ts'
import { buildImage, buildLayer } from '../support/image.ts'
import { openLab } from './lab.ts'

const isRoot = process.getuid?.() === 0
if (!isRoot) console.warn('skipped: a small disk needs root to be mounted')

const MIB = 2 ** 20
const plain = (name: string, mib: number) => buildLayer({ tar: [{ name, content: randomBytes(mib * MIB) }], compression: 'none' })

async function smallDisk(mib: number) {
  const temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-small-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'tmpfs', temporary.path])
  return {
    root: join(temporary.path, 'root'),
    [Symbol.asyncDispose]: async () => {
      execFileSync('umount', [temporary.path])
      await temporary.remove()
    },
  }
}

const roomIn =
  (partials?: Partials) =>
  (store: Store): Room => {
    const watermarks = { highPercent: 100, lowPercent: 100, minAgeMs: 0 }
    return new Housekeeper({ store, partials, collector: createCollector(store), watermarks, log: silent }).room
  }

describe.skipIf(!isRoot)('on a small disk', () => {
  it('the image that was not used for the longest time makes room for the next one', async () => {
    await using disk = await smallDisk(44)
    await using lab = await openLab({ root: disk.root, roomIn: roomIn() })
    const requests = ['one', 'two', 'three'].map((name) => lab.publish(`${name}:1`, buildImage({ layers: [plain(name, 15)] })))
    for (const request of requests.slice(0, 2)) await lab.pull(request)
    // Asked for again, the first one is the younger.
    for (const request of requests.slice(0, 1)) await lab.pull(request)
    for (const request of requests.slice(2)) await lab.pull(request)
    const tags = (await lab.store.images()).flatMap((image) => image.tags.map((tag) => tag.split('/')[1]))
    expect(tags).toEqual(['one:1', 'three:1'])
  })

  it('what came of other layers goes first, the oldest of it, and no more than is needed', async () => {
    await using disk = await smallDisk(64)
    const dir = join(disk.root, 'partials')
    const partials = new Partials({ dir, log: silent, minSize: 1 })
    await using lab = await openLab({ root: disk.root, roomIn: roomIn(partials) })
    await lab.pull(lab.publish('one:1', buildImage({ layers: [plain('one', 12)] })))
    await mkdir(dir)
    const names = ['a', 'b', 'c'].map((letter) => letter.repeat(64))
    for (const [at, name] of names.entries()) {
      await writeFile(join(dir, name), randomBytes(12 * MIB))
      await utimes(join(dir, name), at + 1, at + 1)
    }
    await lab.pull(lab.publish('two:1', buildImage({ layers: [plain('two', 16)] })))
    expect((await lab.store.images()).map(({ tags }) => tags[0]?.split('/')[1])).toEqual(['one:1', 'two:1'])
    expect(await readdir(dir)).toEqual(names.slice(1))
    {
      // The oldest of them is what a pull is about to go on with.
      using _expected = partials.expect([parseDigest(`sha256:${'b'.repeat(64)}`)])
      await partials.giveWay(1, disk.root)
      expect(await readdir(dir)).toEqual(names.slice(1, 2))
    }
    await partials.giveWay(1, disk.root)
    expect(await readdir(dir)).toEqual([])
  })

  it('what is gone on with, or lies on another file system, stays', async () => {
    await using disk = await smallDisk(64)
    const dir = join(disk.root, 'partials')
    const partials = new Partials({ dir, log: silent, minSize: 1 })
    const blob = { mediaType: 'x/y', digest: sha256('x'), size: MIB }
    await using kept = await partials.open(blob)
    await kept?.write(randomBytes(MIB))
    await writeFile(join(dir, 'd'.repeat(64)), randomBytes(MIB))
    expect([await partials.idleBytes(disk.root), await partials.idleBytes('/proc')]).toEqual([MIB, 0])
    await partials.giveWay(10 * MIB, '/proc')
    expect(await readdir(dir)).toHaveLength(2)
    await partials.giveWay(10 * MIB, disk.root)
    expect(await readdir(dir)).toEqual([hexOf(blob.digest)])
  })

  it('a pull that cannot fit is refused before its first byte, says what is missing, and costs no image', async () => {
    await using disk = await smallDisk(48)
    await using lab = await openLab({ root: disk.root, roomIn: roomIn() })
    await lab.pull(lab.publish('one:1', buildImage({ layers: [plain('one', 15)] })))
    const large = plain('large', 60)
    const failure = await lab.refusal(lab.publish('large:1', buildImage({ layers: [large] })))
    expect(failure).toMatchObject({ kind: 'no-space', needs: large.descriptor.size, missing: expect.any(Number) })
    expect(lab.registry.blobGets(large.descriptor.digest)).toBe(0)
    expect(await lab.store.images()).toHaveLength(1)
    expect(await lab.staging()).toEqual([])
  })

  it('a size that is only claimed costs no image; a registry that has so many bytes is another matter', async () => {
    await using disk = await smallDisk(60)
    await using lab = await openLab({ root: disk.root, roomIn: roomIn() })
    for (const name of ['one', 'two']) await lab.pull(lab.publish(`${name}:1`, buildImage({ layers: [plain(name, 15)] })))
    const { descriptor, ...layer } = plain('small', 1)
    const claimed = { ...layer, descriptor: { ...descriptor, size: 50 * MIB } }
    const failure = await lab.refusal(lab.publish('claim:1', buildImage({ layers: [claimed] })))
    expect(failure).toMatchObject({ kind: 'size-mismatch' })
    expect(await lab.store.images()).toHaveLength(2)
    await lab.pull(lab.publish('large:1', buildImage({ layers: [plain('large', 50)] })))
    expect(await lab.store.images()).toHaveLength(1)
  })

  it('pulls at once that wait for the same layer need it once', async () => {
    await using disk = await smallDisk(40)
    await using lab = await openLab({ root: disk.root, roomIn: roomIn() })
    const layers = [plain('shared', 25)]
    const requests = ['a', 'b'].map((label) => lab.publish(`${label}:1`, buildImage({ layers, run: { Labels: { label } } })))
    await Promise.all(requests.map((request) => lab.pull(request)))
    expect(await lab.store.images()).toHaveLength(2)
  })

  it('what is copied does not make room for its copy, though nobody used it for the longest time', async () => {
    await using disk = await smallDisk(44)
    await using lab = await openLab({ root: disk.root, roomIn: roomIn() })
    const shared = plain('shared', 15)
    await lab.pull(lab.publish('twin:1', buildImage({ layers: [shared] })))
    await lab.pull(lab.publish('old:1', buildImage({ layers: [plain('old', 15)] })))
    lab.registry.removeBlob(shared.descriptor.digest)
    await lab.pull(lab.publish('copy:1', buildImage({ layers: [plain('other', 1), shared] })))
    const tags = (await lab.store.images()).flatMap((image) => image.tags.map((tag) => tag.split('/')[1]))
    expect(tags).toEqual(['twin:1', 'copy:1'])
    expect(lab.registry.blobGets(shared.descriptor.digest)).toBe(1)
  })

  it('a config that repeats what is here has room made for one copy of it', async () => {
    await using disk = await smallDisk(64)
    await using lab = await openLab({ root: disk.root, roomIn: roomIn() })
    const repeated = plain('repeated', 10)
    await lab.pull(lab.publish('old:1', buildImage({ layers: [plain('old', 15)] })))
    await lab.pull(lab.publish('twin:1', buildImage({ layers: [repeated] })))
    const layers = [plain('other', 1), ...Array.from({ length: 4 }, () => repeated)]
    expect(await lab.refusal(lab.publish('many:1', buildImage({ layers })))).toMatchObject({ kind: 'no-space' })
    expect(await lab.store.images()).toHaveLength(2)
    expect(await lab.staging()).toEqual([])
    await lab.pull(lab.publish('few:1', buildImage({ layers: layers.slice(0, 3) })))
    expect(await lab.store.images()).toHaveLength(3)
  })

  it('pulls at once share what there is', async () => {
    await using disk = await smallDisk(48)
    await using lab = await openLab({ root: disk.root, roomIn: roomIn() })
    const requests = ['a', 'b'].map((name) => lab.publish(`${name}:1`, buildImage({ layers: [plain(name, 25)] })))
    const settled = await Promise.allSettled(requests.map((request) => lab.pull(request)))
    expect(settled.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(settled.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { failure: { kind: 'no-space', missing: expect.any(Number) } },
    })
  })
})

describe('an estimate', () => {
  it('is exact for what was unpacked here, and a guess for what is compressed', async () => {
    await using lab = await openLab()
    await using twins = lab.store.lease('read')
    const known = buildLayer({ tar: [{ name: 'f', content: 'x'.repeat(10_000) }] })
    await lab.pull(lab.publish('known:1', buildImage({ layers: [known] })))
    const stranger = parseDiffId(`sha256:${'5'.repeat(64)}`)
    const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: known.descriptor.digest, size: 1000 }
    const plan = [
      { origin: 'here', blob, diffId: stranger },
      { origin: 'copy', blob, diffId: parseDiffId(known.diffId) },
      { origin: 'registry', blob, diffId: stranger },
      { origin: 'registry', blob: { ...blob, mediaType: 'application/vnd.oci.image.layer.v1.tar' }, diffId: stranger },
    ] as const
    const layers = await estimate(lab.store, plan, twins)
    expect(layers[0]).toEqual({ likely: 0, least: 0, isKnown: true })
    expect(layers[1]?.likely).toBeGreaterThan(10_000)
    expect(layers[1]).toMatchObject({ least: layers[1]?.likely, isKnown: true })
    // What does not compress takes up what its blob does.
    expect(layers[2]).toEqual({ likely: 2700, least: 1000, isKnown: false })
    expect(layers[3]).toEqual({ likely: 1000, least: 1000, isKnown: false })
  })

  it('is of what has not come yet', () => {
    const diffIds = ['1', '2', '3'].map((digit) => parseDiffId(`sha256:${digit.repeat(64)}`))
    const ids = layerIds(diffIds)
    const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: diffIds[0] ?? expect.fail(), size: 100 }
    const layers = diffIds.map((diffId) => ({ origin: 'registry' as const, blob, diffId }))
    const claimed = { likely: 270, least: 100, isKnown: false }
    const coming = (...progress: readonly LayerProgress[]): readonly Partial<ComingLayer>[] => {
      const expected = new Expected(layers, ids, [claimed, claimed, claimed], (id) => progress[ids.indexOf(id)])
      expected.done(1)
      return expected.coming()
    }
    const [untouched, done] = [
      { likely: 270, least: 100, arrived: 0, hasBegun: false },
      { likely: 0, least: 0, arrived: 270 },
    ]
    expect(coming()).toMatchObject([untouched, done, untouched])
    const half = { state: 'downloading' as const, since: 0, bytes: 50 }
    expect(coming(half, half)).toMatchObject([{ likely: 135, least: 50, arrived: 135, hasBegun: true }, done, untouched])
  })

  it('grows with what a layer turns out to unpack to, up to a bound', () => {
    const [diffId] = ['1'].map((digit) => parseDiffId(`sha256:${digit.repeat(64)}`))
    if (diffId === undefined) return expect.fail()
    const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: diffId, size: 100 * MIB }
    const claimed = { likely: 270 * MIB, least: 100 * MIB, isKnown: false }
    const comingAfter = (read: number, unpacked: number, estimated = claimed): Partial<ComingLayer> | undefined => {
      const unpacking = { unread: MIB, unpacked: unpacked * MIB }
      const progress = { state: 'downloading' as const, since: 0, bytes: (read + 1) * MIB, unpacking }
      const expected = new Expected([{ origin: 'registry', blob, diffId }], layerIds([diffId]), [estimated], () => progress)
      return expected.coming()[0]
    }
    expect(comingAfter(50, 250)).toMatchObject({ likely: 250 * MIB, arrived: 250 * MIB, least: 50 * MIB })
    // An honest layer hardly unpacks to more; nothing that is here goes for one that does.
    expect(comingAfter(50, 40_000)).toMatchObject({ likely: 400 * MIB, arrived: 400 * MIB })
    expect(comingAfter(50, 60)).toMatchObject({ likely: 135 * MIB, arrived: 135 * MIB })
    expect(comingAfter(0.5, 50)).toMatchObject({ arrived: 1.35 * MIB })
    expect(comingAfter(50, 250, { ...claimed, isKnown: true })).toMatchObject({ likely: 135 * MIB })
  })

  it('of copies has one of each diffID wait for room, when its turn has come', () => {
    const [one, two] = ['1', '2'].map((digit) => parseDiffId(`sha256:${digit.repeat(64)}`))
    if (one === undefined || two === undefined) return expect.fail()
    const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: one, size: 100 }
    const diffIds = [one, one, two, one]
    const layers = diffIds.map((diffId, at) => ({ origin: at === 0 ? ('here' as const) : ('copy' as const), blob, diffId }))
    const [here, copied] = [
      { likely: 0, least: 0, isKnown: true },
      { likely: 500, least: 500, isKnown: true },
    ]
    const due = (isDue: boolean): readonly boolean[] =>
      new Expected(layers, layerIds(diffIds), [here, copied, copied, copied], () => ({
        state: 'waiting',
        since: 0,
        bytes: 0,
        isDue,
      }))
        .coming()
        .map((layer) => layer.isDue)
    expect(due(false)).toEqual([false, false, false, false])
    expect(due(true)).toEqual([false, true, true, false])
  })

  it('shrinks with every byte of a pull, and is gone with it', async () => {
    let expects: (() => readonly ComingLayer[]) | undefined
    const left: number[] = []
    const room: Room = {
      reserve: async (given) => {
        expects = given
        const dispose = (): void => {
          expects = undefined
        }
        return { [Symbol.dispose]: dispose }
      },
      arrived: () => {
        left.push(expects?.()[0]?.least ?? Number.NaN)
        return undefined
      },
      due: async () => {},
    }
    await using lab = await openLab({ roomIn: () => room })
    const layer = plain('large', 12)
    await lab.pull(lab.publish('large:1', buildImage({ layers: [layer] })))
    expect(left.length).toBeGreaterThan(2)
    expect(left).toEqual(left.toSorted((a, b) => b - a))
    // All but what waits for its worker.
    expect(left.at(-1)).toBeLessThan(5 * MIB)
    expect(left.at(-1)).toBeLessThan(layer.descriptor.size)
    expect(expects).toBeUndefined()
  })
})
