/** Verifying what was pulled, remembering what was found, and bringing it again: with the real store, unpacker and registry client. */
import { chmodSync, mkdirSync, readdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Failure, failureOf } from '../../src/failure/failure.ts'
import { pullAgain } from '../../src/pull/again.ts'
import { silent } from '../../src/pull/log.ts'
import type { PullEvent } from '../../src/pull/pull.ts'
import type { StoredLayer } from '../../src/store/store.ts'
import { mountOverlay, unmount } from '../../src/sys/mount.ts'
import type { Verifier } from '../../src/unpack/unpack.ts'
import { createLayerVerifier } from '../../src/verify/layer-verifier.ts'
import type { LayerVerdict, PullAgain, VerifyEvent, VerifyRequest } from '../../src/verify/verify.ts'
import { type Lab, openLab } from '../pull/lab.ts'
import { buildImage, buildLayer } from '../support/image.ts'
import { describeTree } from '../support/victim.ts'

const isRoot = process.getuid?.() === 0

const base = buildLayer({
  tar: [
    { name: 'etc/', type: 'dir' },
    { name: 'etc/passwd', content: 'root:x:0:0\n' },
    { name: 'tmp/', type: 'dir', mode: 0o1777 },
  ],
})
const middle = buildLayer({ tar: [{ name: 'data', content: Buffer.alloc(300_000, 7) }], compression: 'zstd' })
const top = buildLayer({ tar: [{ name: 'etc/', type: 'dir' }, { name: 'etc/.wh.passwd' }, { name: 'top', content: 'top' }] })
const all = [base, middle, top]

type Verified = { readonly events: readonly VerifyEvent[]; readonly verdicts: readonly (LayerVerdict | undefined)[] }

async function verify(lab: Lab, request: Partial<VerifyRequest> = {}, signal = new AbortController().signal): Promise<Verified> {
  const events: VerifyEvent[] = []
  const verifier = createLayerVerifier({ store: lab.store, verifier: lab.unpacker, log: silent })
  await verifier.verify({ images: [], ...request }, { signal, onEvent: (event) => events.push(event) })
  const layers = events.flatMap((event) => (event.type === 'planned' ? event.layers : []))
  const lastOf = (at: number): LayerVerdict | undefined =>
    events.flatMap((event) => (event.type === 'layer' && event.layer === at ? [event.verdict] : [])).at(-1)
  return { events, verdicts: layers.map((_, at) => lastOf(at)) }
}

const outcomes = ({ verdicts }: Verified): (string | undefined)[] => verdicts.map((verdict) => verdict?.outcome)
const originsOf = (events: readonly PullEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'layer' ? [event.report.origin] : [])).sort()

/** The tree without the times of its root and of whiteouts: no tar says them. */
const packedTree = (diff: string): string[] =>
  describeTree(diff).map((line) => (/^\. |special 20000/.test(line) ? line.replace(/\d{19}/, '') : line))

async function layersOf(lab: Lab, id: string): Promise<readonly StoredLayer[]> {
  const ids = (await lab.store.find(id))?.layerIds ?? []
  return (await Promise.all(ids.map((each) => lab.store.layer(each)))).filter((layer) => layer !== undefined)
}

describe.skipIf(!isRoot)('an image', () => {
  it('as it was pulled is sound, each of its layers looked at once', async () => {
    await using lab = await openLab()
    await lab.pull(lab.publish('app:1', buildImage({ layers: all })))
    await lab.pull(lab.publish('other:1', buildImage({ layers: [base, middle] })))
    const verified = await verify(lab)
    expect(outcomes(verified)).toEqual(['sound', 'sound', 'sound'])
    const [planned] = verified.events
    expect(planned).toMatchObject({
      type: 'planned',
      layers: [{ images: [/app:1$/, /other:1$/].map((name) => expect.stringMatching(name)) }, {}, {}],
    })
    expect(await lab.staging()).toEqual([])
  })

  it('is not in use for being verified: its layers are held while one of them is looked at', async () => {
    await using lab = await openLab()
    await lab.pull(lab.publish('app:1', buildImage({ layers: all })))
    const held: { readonly leased: number; readonly read: number }[] = []
    const verifier: Verifier = {
      verify: async (...asked) => {
        const { holders } = (await lab.store.holdings?.look()) ?? expect.fail()
        held.push({ leased: holders.leased.size, read: holders.read.size })
        return await lab.unpacker.verify(...asked)
      },
    }
    const one = buildImage({ layers: [base] })
    const { id } = await lab.pull(lab.publish('one:1', one))
    const request = { images: [id] }
    const options = { signal: new AbortController().signal, onEvent: () => {} }
    await createLayerVerifier({ store: lab.store, verifier, log: silent }).verify(request, options)
    expect(held).toEqual([{ leased: 0, read: 1 }])
  })

  it('that is removed meanwhile keeps the layers that are being looked at; no repair brings it back', async () => {
    await using lab = await openLab()
    const layers = [1, 2, 3, 4, 5, 6].map((name) => buildLayer({ tar: [{ name: String(name), content: 'x' }] }))
    const { id } = buildImage({ layers })
    await lab.pull(lab.publish('app:1', buildImage({ layers })))
    let removed: Promise<unknown> | undefined
    const verifier: Verifier = {
      verify: async (...asked) => {
        removed ??= lab.store.remove(id).then(() => lab.store.collect())
        await removed
        const differences = [{ path: 'etc/passwd', kind: 'mode' as const, detail: 'as if it differed' }]
        return { ...(await lab.unpacker.verify(...asked)), differences, total: 1 }
      },
    }
    const verdicts: LayerVerdict[] = []
    const pulled: string[] = []
    const repair: PullAgain = { check: async () => {}, pull: async (_, name) => void pulled.push(name) }
    const onEvent = (event: VerifyEvent): void => void (event.type === 'layer' && verdicts.push(event.verdict))
    const options = { signal: new AbortController().signal, onEvent }
    await createLayerVerifier({ store: lab.store, verifier, log: silent }).verify({ images: [], repair }, options)
    const told = verdicts.map(({ outcome, reason }) => `${outcome}: ${reason}`)
    expect(told.filter((each) => each.startsWith('damaged')).length).toBeGreaterThan(0)
    expect(pulled).toEqual([])
  })

  it('that was changed is marked, and only the mark', async () => {
    await using lab = await openLab()
    const { id } = await lab.pull(lab.publish('app:1', buildImage({ layers: all })))
    const [first] = await layersOf(lab, id)
    chmodSync(join(first?.diff ?? '', 'etc/passwd'), 0o666)
    const before = describeTree(lab.store.overlayDir)
    const { verdicts } = await verify(lab, { images: ['app:1'].map((name) => `${lab.registry.host}/${name}`) })
    expect(verdicts).toMatchObject([
      { outcome: 'damaged', total: 1, differences: [{ path: 'etc/passwd', kind: 'mode' }] },
      { outcome: 'sound' },
      { outcome: 'sound' },
    ])
    expect(describeTree(lab.store.overlayDir)).toEqual(before)
    expect((await layersOf(lab, id)).map(({ damage }) => damage?.first)).toEqual([
      expect.stringMatching(/^etc\/passwd: mode 0666/),
      undefined,
      undefined,
    ])
    // Mended by hand, it is sound again.
    chmodSync(join(first?.diff ?? '', 'etc/passwd'), 0o644)
    expect(outcomes(await verify(lab))).toEqual(['sound', 'sound', 'sound'])
    expect(lab.store.health?.damaged()).toEqual([])
  })

  it('that is not here is told, and so are all that are not', async () => {
    await using lab = await openLab()
    const failure = await verify(lab, { images: ['a.test/x:1', 'a.test/y:1'] }).then(
      (): Failure => expect.fail('there are none'),
      failureOf,
    )
    expect(failure).toEqual({ kind: 'image-unknown', names: ['a.test/x:1', 'a.test/y:1'] })
  })

  it('can be left in the middle, and nothing of it stays', async () => {
    await using lab = await openLab()
    await lab.pull(lab.publish('app:1', buildImage({ layers: all })))
    const leaving = new AbortController()
    const verifier = createLayerVerifier({ store: lab.store, verifier: lab.unpacker, log: silent })
    const onEvent = (event: VerifyEvent): void => void (event.type === 'planned' && leaving.abort(new Error('enough')))
    await expect(verifier.verify({ images: [] }, { signal: leaving.signal, onEvent })).rejects.toThrow(/enough/)
    expect(await lab.staging()).toEqual([])
    expect(lab.store.health?.damaged()).toEqual([])
  })

  it('one layer of which cannot be looked at is told of the others', async () => {
    await using lab = await openLab()
    await lab.pull(lab.publish('app:1', buildImage({ layers: [base, middle] })))
    const events: VerifyEvent[] = []
    let calls = 0
    const verifier = createLayerVerifier({
      store: lab.store,
      verifier: {
        verify: async (job, options) => {
          if (calls++ === 0) throw Object.assign(new Error('no'), { code: 'EMFILE', syscall: 'open' })
          return await lab.unpacker.verify(job, options)
        },
      },
      log: silent,
    })
    await verifier.verify({ images: [] }, { signal: new AbortController().signal, onEvent: (event) => events.push(event) })
    const found = events.flatMap((event) => (event.type === 'layer' ? [event.verdict.outcome] : [])).sort()
    expect(found).toEqual(['sound', 'unknown'])
    expect(lab.store.health?.damaged()).toEqual([])
  })
})

/** What is done to the trees of the three layers. */
const damages: readonly (readonly [string, (diffs: readonly string[]) => void, readonly string[]])[] = [
  [
    'a file full of zeros',
    ([, diff = '']) => writeFileSync(join(diff, 'data'), Buffer.alloc(300_000)),
    ['here', 'here', 'registry'],
  ],
  ['an empty file', ([, diff = '']) => truncateSync(join(diff, 'data'), 0), ['here', 'here', 'registry']],
  ['a deleted file', ([diff = '']) => rmSync(join(diff, 'etc/passwd')), ['here', 'here', 'registry']],
  ['a lost whiteout', ([, , diff = '']) => rmSync(join(diff, 'etc/passwd')), ['here', 'here', 'registry']],
  ['an added file', ([diff = '']) => writeFileSync(join(diff, 'etc/added'), ''), ['here', 'here', 'registry']],
  ['another mode', ([diff = '']) => chmodSync(join(diff, 'tmp'), 0o777), ['here', 'here', 'registry']],
  [
    'damage in all layers',
    (diffs) => {
      for (const diff of diffs) utimesSync(join(diff, readdirSync(diff)[0] ?? ''), 1, 1)
    },
    ['registry', 'registry', 'registry'],
  ],
]

describe.skipIf(!isRoot)('a pull of what is here', () => {
  it('brings nothing where all of it is sound', async () => {
    await using lab = await openLab()
    const request = lab.publish('app:1', buildImage({ layers: all }))
    await lab.pull(request)
    await verify(lab)
    const { events } = await lab.pull(request)
    expect(originsOf(events)).toEqual(['here', 'here', 'here'])
    expect(all.map(({ descriptor }) => lab.registry.blobGets(descriptor.digest))).toEqual([1, 1, 1])
  })

  it.each(damages)('heals %s, and nothing else moves', async (_, damage, origins) => {
    await using lab = await openLab()
    const request = lab.publish('app:1', buildImage({ layers: all }))
    const { id } = await lab.pull(request)
    const diffs = (await layersOf(lab, id)).map(({ diff }) => diff)
    const packed = diffs.map(packedTree)
    damage(diffs)
    expect(outcomes(await verify(lab))).toContain('damaged')
    expect((await lab.puller.plan(request, { signal: new AbortController().signal })).present).toBe(false)
    const { events } = await lab.pull(request)
    expect(originsOf(events)).toEqual(origins)
    expect((await layersOf(lab, id)).map(({ diff }) => packedTree(diff))).toEqual(packed)
    expect(outcomes(await verify(lab))).toEqual(['sound', 'sound', 'sound'])
    expect((await lab.puller.plan(request, { signal: new AbortController().signal })).present).toBe(true)
  })

  it('heals after a restart, too', async () => {
    await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-verify-'))
    const root = join(temporary.path, 'root')
    const image = buildImage({ layers: all })
    await (async () => {
      await using lab = await openLab({ root })
      const { id } = await lab.pull(lab.publish('app:1', image))
      rmSync(join((await layersOf(lab, id))[1]?.diff ?? '', 'data'))
      await verify(lab)
    })()
    await using lab = await openLab({ root })
    const { id, events } = await lab.pull(lab.publish('app:1', image))
    expect(originsOf(events)).toEqual(['here', 'here', 'registry'])
    expect((await layersOf(lab, id)).map(({ damage }) => damage)).toEqual([undefined, undefined, undefined])
    expect(outcomes(await verify(lab))).toEqual(['sound', 'sound', 'sound'])
  })

  it('copies from a sound twin, and never from a damaged one', async () => {
    await using lab = await openLab()
    const request = lab.publish('app:1', buildImage({ layers: [base, middle] }))
    const { id } = await lab.pull(request)
    await lab.pull(lab.publish('other:1', buildImage({ layers: [top, middle] })))
    rmSync(join((await layersOf(lab, id))[1]?.diff ?? '', 'data'))
    await verify(lab)
    expect(originsOf((await lab.pull(request)).events)).toEqual(['copy', 'here'])
    expect(lab.registry.blobGets(middle.descriptor.digest)).toBe(1)
    const other = await lab.store.find(`${lab.registry.host}/other:1`)
    for (const layer of [...(await layersOf(lab, id)), ...(await layersOf(lab, other?.id ?? ''))])
      writeFileSync(join(layer.diff, 'added'), '')
    await verify(lab)
    expect(originsOf((await lab.pull(request)).events)).toEqual(['registry', 'registry'])
  })

  it('says which mount is in the way, before a byte of the layer moves', async () => {
    await using lab = await openLab()
    const request = lab.publish('app:1', buildImage({ layers: [base, middle] }))
    const { id } = await lab.pull(request)
    const [below, above] = await layersOf(lab, id)
    rmSync(join(above?.diff ?? '', 'data'))
    await verify(lab)
    const target = join(lab.root, 'target')
    mkdirSync(target)
    mountOverlay({ target, base: lab.store.overlayDir, lower: [above?.short ?? '', below?.short ?? ''] })
    try {
      expect(await lab.refusal(request)).toEqual({ kind: 'layer-in-use', layer: above?.id, mounts: [target] })
    } finally {
      unmount(target)
    }
    expect(lab.registry.blobGets(middle.descriptor.digest)).toBe(1)
    expect(originsOf((await lab.pull(request)).events)).toEqual(['here', 'registry'])
  })
})

describe.skipIf(!isRoot)('a repair', () => {
  const repairIn = (lab: Lab): PullAgain => pullAgain(lab.puller, 'cli', undefined)

  it('brings the damaged layers again by digest, though the tag is another image now, and looks at them again', async () => {
    await using lab = await openLab()
    const { id } = await lab.pull(lab.publish('app:1', buildImage({ layers: all })))
    lab.publish('app:1', buildImage({ layers: [base] }))
    const [first, second] = await layersOf(lab, id)
    writeFileSync(join(first?.diff ?? '', 'etc/passwd'), 'evil')
    rmSync(join(second?.diff ?? '', 'data'))
    const repaired = await verify(lab, { repair: repairIn(lab) })
    expect(outcomes(repaired)).toEqual(['sound', 'sound', 'sound'])
    expect(repaired.events.filter(({ type }) => type === 'layer')).toHaveLength(5)
    expect(repaired.events.flatMap((event) => (event.type === 'repairing' ? [event.image] : []))).toEqual([
      `${lab.registry.host}/app:1`,
    ])
    const image = await lab.store.find(id)
    expect(image?.tags).toEqual([`${lab.registry.host}/app:1`])
    // The digest it was repaired by does not keep it.
    await lab.store.untag(`${lab.registry.host}/app:1`)
    expect(await lab.store.find(id)).toBeUndefined()
  })

  it('that cannot be had is told, and the layer stays marked', async () => {
    await using lab = await openLab()
    const { id } = await lab.pull(lab.publish('app:1', buildImage({ layers: [base] })))
    rmSync(join((await layersOf(lab, id))[0]?.diff ?? '', 'etc/passwd'))
    const gone = (): Promise<never> => Promise.reject(new Error('the registry is gone'))
    const repair: PullAgain = { check: gone, pull: gone }
    const { events, verdicts } = await verify(lab, { repair })
    expect(events).toContainEqual({
      type: 'repair-failed',
      image: `${lab.registry.host}/app:1`,
      reason: expect.stringContaining('the registry is gone'),
    })
    expect(verdicts).toMatchObject([{ outcome: 'damaged' }])
    expect(lab.store.health?.damaged()).toHaveLength(1)
  })
})
