/** Pulls onto a disk that is too small for all of them. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createCollector } from '../../src/gc/gc.ts'
import { Housekeeper } from '../../src/gc/housekeeper.ts'
import { parseDiffId } from '../../src/oci/digest.ts'
import { estimate, sumOf } from '../../src/pull/room.ts'
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

const housekeeper = (store: Store): Housekeeper =>
  new Housekeeper({
    store,
    collector: createCollector(store),
    watermarks: { highPercent: 100, lowPercent: 100, minAgeMs: 0 },
    log: silent,
  })

describe.skipIf(!isRoot)('on a small disk', () => {
  it('the image that was not used for the longest time makes room for the next one', async () => {
    await using disk = await smallDisk(44)
    await using lab = await openLab({ root: disk.root, roomIn: housekeeper })
    const requests = ['one', 'two', 'three'].map((name) => lab.publish(`${name}:1`, buildImage({ layers: [plain(name, 15)] })))
    for (const request of requests.slice(0, 2)) await lab.pull(request)
    // Asked for again, the first one is the younger.
    for (const request of requests.slice(0, 1)) await lab.pull(request)
    for (const request of requests.slice(2)) await lab.pull(request)
    const tags = (await lab.store.images()).flatMap((image) => image.tags.map((tag) => tag.split('/')[1]))
    expect(tags).toEqual(['one:1', 'three:1'])
  })

  it('a pull that cannot fit is refused before its first byte, says what is missing, and costs no image', async () => {
    await using disk = await smallDisk(48)
    await using lab = await openLab({ root: disk.root, roomIn: housekeeper })
    await lab.pull(lab.publish('one:1', buildImage({ layers: [plain('one', 15)] })))
    const large = plain('large', 60)
    const failure = await lab.refusal(lab.publish('large:1', buildImage({ layers: [large] })))
    expect(failure).toMatchObject({ kind: 'no-space', needs: large.descriptor.size, missing: expect.any(Number) })
    expect(lab.registry.blobGets(large.descriptor.digest)).toBe(0)
    expect(await lab.store.images()).toHaveLength(1)
    expect(await lab.staging()).toEqual([])
  })

  it('pulls at once share what there is', async () => {
    await using disk = await smallDisk(48)
    await using lab = await openLab({ root: disk.root, roomIn: housekeeper })
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
    const known = buildLayer({ tar: [{ name: 'f', content: 'x'.repeat(10_000) }] })
    await lab.pull(lab.publish('known:1', buildImage({ layers: [known] })))
    const stranger = parseDiffId(`sha256:${'5'.repeat(64)}`)
    const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: known.descriptor.digest, size: 1000 }
    const layers = await estimate(lab.store, [
      { origin: 'here', blob, diffId: stranger },
      { origin: 'copy', blob, diffId: parseDiffId(known.diffId) },
      { origin: 'registry', blob, diffId: stranger },
      { origin: 'registry', blob: { ...blob, mediaType: 'application/vnd.oci.image.layer.v1.tar' }, diffId: stranger },
    ])
    expect(layers[0]).toEqual({ likely: 0, least: 0 })
    expect(layers[1]?.likely).toBeGreaterThan(10_000)
    expect(layers[1]?.least).toBe(layers[1]?.likely)
    expect(layers[2]?.likely).toBeGreaterThan(layers[2]?.least ?? 0)
    expect(layers[2]?.least).toBeGreaterThanOrEqual(1000)
    expect(layers[3]).toEqual({ likely: 1000, least: 1000 })
    expect(sumOf(layers.slice(2)).likely).toBe((layers[2]?.likely ?? 0) + 1000)
  })
})
