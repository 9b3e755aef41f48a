import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { layerIds, parseDiffId, sha256 } from '../../src/oci/digest.ts'
import type { PullEvent } from '../../src/pull/pull.ts'
import { formatReference } from '../../src/reference/parse.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { buildImage, buildIndex, buildLayer, publish } from '../support/image.ts'
import { amd64, openLab } from './lab.ts'

const base = buildLayer({
  tar: [
    { name: 'etc/', type: 'dir' },
    { name: 'etc/base', content: 'base' },
  ],
})
const middle = buildLayer({ tar: [{ name: 'middle', content: randomBytes(300_000) }], compression: 'zstd' })
const top = buildLayer({ tar: [{ name: 'etc/.wh.base' }, { name: 'top', content: 'top' }], compression: 'none' })
const large = buildLayer({ tar: [{ name: 'large', content: randomBytes(6_000_000) }], compression: 'none' })

const typesOf = (events: readonly PullEvent[]): string[] => events.map(({ type }) => type).filter((type) => type !== 'progress')
const originsOf = (events: readonly PullEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'layer' ? [event.report.origin] : []))
const gets = (
  lab: { registry: { blobGets(digest: string): number } },
  layers: readonly { descriptor: { digest: string } }[],
): number[] => layers.map(({ descriptor }) => lab.registry.blobGets(descriptor.digest))

const { signal } = new AbortController()

describe('a pull', () => {
  it('ends with an image whose layers are on disk, and tells how it got there', async () => {
    await using lab = await openLab()
    const image = buildImage({ layers: [base, middle, top], run: { Cmd: ['/top'] } })
    const request = lab.publish('app:1', buildIndex([image]))
    const { id, events } = await lab.pull(request)
    expect(id).toBe(image.id)
    expect(typesOf(events)).toEqual(['begun', 'resolved', 'planned', 'room', 'layer', 'layer', 'layer', 'sealed', 'done'])
    const stored = await lab.store.find(id)
    expect(stored).toMatchObject({
      tags: [`${lab.registry.host}/app:1`],
      config: { run: { cmd: ['/top'] } },
      manifest: { digest: image.descriptor.digest },
    })
    const ids = layerIds([base, middle, top].map(({ diffId }) => parseDiffId(diffId)))
    expect(stored?.layerIds).toEqual(ids)
    expect(readFileSync(join(lab.root, 'overlay', ids[0] ?? '', 'diff/etc/base'), 'utf8')).toBe('base')
    expect(existsSync(join(lab.root, 'overlay-layers', `${ids[1]}.tar-split.gz`))).toBe(true)
    expect(await lab.staging()).toEqual([])
  })

  it('has a worker started for what it does not know while the registry is asked, and none for what is here', async () => {
    await using lab = await openLab()
    const start = vi.spyOn(lab.unpacker, 'startWorker')
    const request = lab.publish('app:1', buildImage({ layers: [base] }))
    const answer = Promise.withResolvers<void>()
    lab.registry.fault = () => ({ kind: 'hold', until: answer.promise })
    const pulling = lab.pull(request)
    await vi.waitFor(() => expect(lab.registry.requests).toHaveLength(1), 20_000)
    expect(start).toHaveBeenCalledTimes(1)
    answer.resolve()
    await pulling
    await lab.pull(request)
    await lab.puller.plan({ ...request, reference: { ...request.reference, tag: 'other' } }, { signal }).catch(() => undefined)
    expect(start).toHaveBeenCalledTimes(1)
  })

  it('of what is here asks the registry and moves nothing', async () => {
    await using lab = await openLab()
    const request = lab.publish('app:1', buildImage({ layers: [base, middle] }))
    const first = await lab.pull(request)
    const before = lab.registry.requests.length
    const again = await lab.pull(request)
    expect(again.id).toBe(first.id)
    expect(typesOf(again.events)).toEqual(['begun', 'resolved', 'planned', 'room', 'layer', 'layer', 'done'])
    expect(lab.registry.requests.slice(before).map(({ method }) => method)).toEqual(['HEAD'])
  })

  it.each(['resolved', 'planned'] as const)(
    'of what is here holds it from being made room with, be that when it is %s',
    async (when) => {
      await using lab = await openLab()
      const request = lab.publish('app:1', buildImage({ layers: [base, middle] }))
      const { id } = await lab.pull(request)
      const image = (await lab.store.find(id)) ?? expect.fail('it was pulled')
      let removed: Promise<boolean> | undefined
      const onEvent = ({ type }: PullEvent): void => {
        if (type === when) removed = lab.store.holdings?.removeIdle(image)
      }
      expect((await lab.puller.pull(request, { signal: new AbortController().signal, onEvent })).image.id).toBe(id)
      // One that was going already is pulled anew.
      expect(await removed).toBe(when === 'resolved')
      expect((await lab.store.find(`${lab.registry.host}/app:1`))?.id).toBe(id)
    },
  )

  it('follows a tag that moved, and keeps what both images share', async () => {
    await using lab = await openLab()
    await lab.pull(lab.publish('app:1', buildImage({ layers: [base, middle] })))
    const { id, events } = await lab.pull(lab.publish('app:1', buildImage({ layers: [base, top] })))
    expect(originsOf(events).sort()).toEqual(['here', 'registry'])
    expect((await lab.store.find(`${lab.registry.host}/app:1`))?.id).toBe(id)
    expect(lab.registry.blobGets(base.descriptor.digest)).toBe(1)
  })

  it('gives the same diffID to another chain from the copy here, in one image and across two', async () => {
    await using lab = await openLab()
    const twice = lab.publish('twice:1', buildImage({ layers: [base, middle, base] }))
    expect(originsOf((await lab.pull(twice)).events).sort()).toEqual(['copy', 'registry', 'registry'])
    const other = lab.publish('other:1', buildImage({ layers: [top, middle] }))
    const { id, events } = await lab.pull(other)
    expect(originsOf(events).sort()).toEqual(['copy', 'registry'])
    expect(gets(lab, [base, middle, top])).toEqual([1, 1, 1])
    const second = (await lab.store.find(id))?.layerIds[1]
    const diff = second === undefined ? '' : ((await lab.store.layer(second))?.diff ?? '')
    expect(sha256(readFileSync(join(diff, 'middle')))).toBe(
      sha256(readFileSync(join((await lab.store.layerByDiffId(parseDiffId(middle.diffId)))?.diff ?? '', 'middle'))),
    )
  })

  it('fetches again what its copy here cannot give any more', async () => {
    await using lab = await openLab()
    await lab.pull(lab.publish('app:1', buildImage({ layers: [base, middle] })))
    rmSync(join((await lab.store.layerByDiffId(parseDiffId(middle.diffId)))?.diff ?? '', 'middle'))
    const { events } = await lab.pull(lab.publish('other:1', buildImage({ layers: [top, middle] })))
    expect(originsOf(events)).toEqual(['registry', 'registry'])
  })

  it('names the host that delivered wrong bytes', async () => {
    await using lab = await openLab()
    await using mirror = await startRegistry()
    const image = buildImage({ layers: [base, large] })
    const request = lab.publish('app:1', image)
    // The mirror has everything but the large layer.
    publish(
      {
        putBlob: (bytes) => (bytes === large.blob ? sha256(bytes) : mirror.putBlob(bytes)),
        putManifest: (...of) => mirror.putManifest(...of),
      },
      'app',
      '1',
      image,
    )
    lab.useMirror(mirror.origin)
    lab.registry.fault = ({ path }) => (path.endsWith(large.descriptor.digest) ? { kind: 'corrupt', at: 4_000_000 } : undefined)
    expect(await lab.refusal(request)).toMatchObject({
      kind: 'digest-mismatch',
      from: lab.registry.host,
      reference: formatReference(request.reference),
    })
  })

  it('plans without moving a layer', async () => {
    await using lab = await openLab()
    const request = lab.publish('app:1', buildImage({ layers: [base, large] }))
    await lab.pull(lab.publish('base:1', buildImage({ layers: [base] })))
    const plan = await lab.puller.plan(request, { signal: new AbortController().signal })
    expect(plan).toMatchObject({ present: false, bytesToFetch: large.descriptor.size, bytesHere: base.descriptor.size })
    expect(plan.layers.map(({ origin }) => origin)).toEqual(['here', 'registry'])
    expect(gets(lab, [large])).toEqual([0])
  })

  it('refuses another architecture before any layer moves, and says what there is', async () => {
    await using lab = await openLab()
    const arm = buildImage({ layers: [base], platform: { os: 'linux', architecture: 'arm64' } })
    const s390 = { os: 'linux', architecture: 's390x' }
    const index = lab.publish('multi:1', buildIndex([buildImage({ layers: [base] }), arm]))
    expect(await lab.refusal({ ...index, platform: s390 })).toMatchObject({
      kind: 'no-platform',
      wanted: 'linux/s390x',
      offered: ['linux/amd64', 'linux/arm64'],
    })
    expect(await lab.refusal(lab.publish('single:1', arm))).toMatchObject({
      kind: 'no-platform',
      wanted: 'linux/amd64',
      offered: ['linux/arm64'],
    })
    expect(gets(lab, [base])).toEqual([0])
  })

  it('leaves nothing behind when a layer is not what its digest says', async () => {
    await using lab = await openLab()
    const request = lab.publish('app:1', buildImage({ layers: [base, large] }))
    lab.registry.fault = ({ path }) => (path.endsWith(large.descriptor.digest) ? { kind: 'corrupt', at: 4_000_000 } : undefined)
    expect(await lab.refusal(request)).toMatchObject({
      kind: 'digest-mismatch',
      what: 'layer',
      want: large.descriptor.digest,
      from: lab.registry.host,
    })
    expect(await lab.store.images()).toEqual([])
    expect(await lab.staging()).toEqual([])
    lab.registry.fault = undefined
    expect((await lab.pull(request)).id).toMatch(/^sha256:/)
  })
})

describe('callers', () => {
  it('of the same image share one pull; 199 of 200 leave and the last one gets it', async () => {
    await using lab = await openLab()
    const image = buildImage({ layers: [base, large] })
    const request = lab.publish('app:1', image)
    const release = Promise.withResolvers<void>()
    lab.registry.fault = ({ path }) =>
      path.endsWith(large.descriptor.digest) ? { kind: 'hold', until: release.promise } : undefined
    const leavers = Array.from({ length: 199 }, () => new AbortController())
    const left = leavers.map(({ signal }) => lab.pull(request, signal))
    const staying = lab.pull(request)
    await until(lab, (pulls) => pulls[0]?.clients.length === 200)
    for (const leaver of leavers) leaver.abort()
    const reasons = await Promise.allSettled(left)
    expect(reasons.filter(({ status }) => status === 'rejected').length).toBe(199)
    release.resolve()
    expect((await staying).id).toBe(image.id)
    expect(gets(lab, [base, large])).toEqual([1, 1])
    expect(lab.registry.count('GET', '/manifests/1')).toBe(1)
  })

  it('who all leave stop the work, and its staging is gone', async () => {
    await using lab = await openLab({ blobBytesPerSecond: 2_000_000 })
    const request = lab.publish('app:1', buildImage({ layers: [base, large] }))
    const leavers = [new AbortController(), new AbortController()]
    const left = leavers.map(({ signal }) => lab.pull(request, signal))
    await until(lab, (pulls) => pulls[0]?.layers.some(({ bytes }) => bytes > 100_000) ?? false)
    expect((await lab.staging()).length).toBeGreaterThan(0)
    for (const leaver of leavers) leaver.abort()
    for (const each of left) await expect(each).rejects.toMatchObject({ failure: { kind: 'cancelled' } })
    await lab.puller.close()
    expect(await lab.staging()).toEqual([])
    expect(lab.puller.inFlight()).toEqual([])
  })

  it('of two images share a layer in flight, and one image failing does not take the other with it', async () => {
    await using lab = await openLab()
    const good = lab.publish('good:1', buildImage({ layers: [large, top] }))
    const bad = lab.publish('bad:1', buildImage({ layers: [large, middle] }))
    const release = Promise.withResolvers<void>()
    lab.registry.fault = ({ path }) => {
      if (path.endsWith(large.descriptor.digest)) return { kind: 'hold', until: release.promise }
      return path.endsWith(middle.descriptor.digest) ? { kind: 'status', status: 404 } : undefined
    }
    const failing = lab.refusal(bad)
    const pulling = lab.pull(good)
    expect((await failing).kind).toBe('blob-unknown')
    release.resolve()
    await pulling
    expect((await lab.store.images()).length).toBe(1)
    expect(lab.registry.blobGets(large.descriptor.digest)).toBeLessThanOrEqual(2)
  })

  it('with other credentials do not ride along', async () => {
    await using lab = await openLab({ auth: { kind: 'basic', username: 'u', password: 'p' } })
    const request = lab.publish('secret:1', buildImage({ layers: [base] }))
    const known = lab.pull({ ...request, credentials: { kind: 'basic', username: 'u', password: 'p' } })
    const stranger = lab.refusal({ ...request, credentials: { kind: 'basic', username: 'u', password: 'wrong' } })
    expect((await stranger).kind).toBe('unauthorized')
    await known
    // What is here already is no reason to let somebody else have it.
    expect((await lab.refusal({ ...request, credentials: { kind: 'anonymous' } })).kind).toMatch(/unauthorized|denied/)
  })

  it('joining late are told what has happened so far', async () => {
    await using lab = await openLab()
    const request = lab.publish('app:1', buildImage({ layers: [base, large] }))
    const release = Promise.withResolvers<void>()
    lab.registry.fault = ({ path }) =>
      path.endsWith(large.descriptor.digest) ? { kind: 'hold', until: release.promise } : undefined
    const first = lab.pull(request)
    await until(lab, (pulls) => pulls[0]?.layers[0]?.state === 'done')
    const late = lab.pull(request)
    release.resolve()
    expect(typesOf((await late).events)).toEqual(typesOf((await first).events))
  })

  it('see every pull in flight with its progress', async () => {
    await using lab = await openLab({ blobBytesPerSecond: 20_000_000 })
    const request = lab.publish('app:1', buildImage({ layers: [large] }))
    const seen: number[] = []
    const watching = new AbortController()
    lab.puller.watch((pulls) => seen.push(pulls[0]?.layers[0]?.bytes ?? -1), watching)
    await lab.pull({ ...request, platform: amd64 })
    await delay(150)
    watching.abort()
    expect(seen.filter((bytes) => bytes > 0 && bytes < large.descriptor.size).length).toBeGreaterThan(0)
    expect(lab.puller.inFlight()).toEqual([])
  })
})

/** Waits until the pulls in flight are as wanted. */
async function until(
  lab: Awaited<ReturnType<typeof openLab>>,
  wanted: (pulls: ReturnType<typeof lab.puller.inFlight>) => boolean,
): Promise<void> {
  const patience = AbortSignal.timeout(20_000)
  while (!wanted(lab.puller.inFlight())) await delay(5, undefined, { signal: patience })
}
