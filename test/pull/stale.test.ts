import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { PullObserver } from '../../src/pull/observer.ts'
import { StaleTags } from '../../src/pull/stale.ts'
import { parseReference } from '../../src/reference/parse.ts'
import type { Fault } from '../registry/embedded-registry.ts'
import { buildImage, buildLayer } from '../support/image.ts'
import { openLab } from './lab.ts'

const image = buildImage({ layers: [buildLayer({ tar: [{ name: 'a', content: 'a' }] })] })
const next = buildImage({ layers: [buildLayer({ tar: [{ name: 'b', content: 'b' }] })] })
const { promise: never } = Promise.withResolvers<void>()
const observing = (ends: string[]): PullObserver => ({
  begun: () => ({ event: () => {}, joined: () => {}, ended: ({ result }) => ends.push(result) }),
  brought: () => {},
})
const down: Fault = { kind: 'hang-up' }

describe('a tag that may be stale', () => {
  it.each<[string, Fault]>([
    ['is down', down],
    ['answers 503', { kind: 'status', status: 503 }],
    ['does not answer', { kind: 'hold', until: never }],
  ])('is answered with what it named last where its registry %s, and says so, until it is back', async (_, fault) => {
    const warnings: object[] = []
    const ends: string[] = []
    const log = { info: () => {}, warn: (fields: object) => void warnings.push(fields) }
    await using lab = await openLab({ log, mayBeStale: true, observer: observing(ends) })
    const request = lab.publish('app:1', image)
    await lab.pull(request)
    lab.registry.fault = () => fault
    const started = performance.now()
    expect((await lab.pull(request)).id).toBe(image.id)
    expect(performance.now() - started).toBeLessThan(8_000)
    expect(warnings).toMatchObject([{ stale: true, digest: image.descriptor.digest, image: image.id }])
    expect(lab.puller.staleTags()).toMatchObject([
      { reference: `${lab.registry.host}/app:1`, digest: image.descriptor.digest, since: expect.any(Date) },
    ])
    lab.registry.fault = undefined
    lab.publish('app:1', next)
    expect((await lab.pull(request)).id).toBe(next.id)
    expect(lab.puller.staleTags()).toEqual([])
    expect(ends).toEqual(['pulled', 'stale', 'pulled'])
  })

  it('is answered so again while its registry, by 503, has asked for a pause', async () => {
    await using lab = await openLab({ mayBeStale: true })
    const request = lab.publish('app:1', image)
    await lab.pull(request)
    const asked = lab.registry.requests.length
    lab.registry.fault = () => ({ kind: 'status', status: 503, headers: { 'retry-after': '20' } })
    for (let time = 0; time < 2; time++) expect((await lab.pull(request)).id).toBe(image.id)
    expect(lab.registry.requests.slice(asked).map(({ method }) => method)).toEqual(['HEAD', 'GET'])
  })

  it('is not answered where a registry has answered: it is gone, or may not be read', async () => {
    await using lab = await openLab({ mayBeStale: true })
    const request = lab.publish('app:1', image)
    await lab.pull(request)
    lab.registry.fault = () => ({ kind: 'status', status: 404 })
    expect(await lab.refusal(request)).toMatchObject({ kind: 'manifest-unknown' })
    lab.registry.fault = () => ({ kind: 'status', status: 403 })
    expect(await lab.refusal(request)).toMatchObject({ kind: 'denied' })
    lab.registry.fault = () => ({ kind: 'status', status: 429, headers: { 'retry-after': '20' } })
    for (let time = 0; time < 2; time++) expect(await lab.refusal(request)).toMatchObject({ kind: 'rate-limited' })
  })

  it('is not answered where it, or a part of it, is not here', async () => {
    await using lab = await openLab({ mayBeStale: true })
    const request = lab.publish('app:1', image)
    lab.registry.fault = () => down
    expect(await lab.refusal(request)).toMatchObject({ kind: 'registry-unavailable' })
    lab.registry.fault = undefined
    await lab.pull(request)
    const [id] = (await lab.store.find(image.id))?.layerIds ?? []
    const layer = id === undefined ? undefined : await lab.store.layer(id)
    if (layer === undefined) throw new Error('there is no layer')
    rmSync(join(layer.diff, 'a'))
    await lab.store.health?.mark(layer, { foundAt: new Date(), differences: 1, first: 'a is gone' })
    lab.registry.fault = () => down
    expect(await lab.refusal(request)).toMatchObject({ kind: 'registry-unavailable' })
    expect(lab.puller.staleTags()).toEqual([])
  })

  it('is not answered where each caller must be let in by the registry', async () => {
    await using lab = await openLab({ mayBeStale: true, recheckAccess: true })
    const request = lab.publish('app:1', image)
    await lab.pull(request)
    lab.registry.fault = () => down
    expect(await lab.refusal(request)).toMatchObject({ kind: 'access-unconfirmed' })
  })

  it('leaves no receipt: who gets it was let in by nobody', async () => {
    await using lab = await openLab({ mayBeStale: true, identify: ({ kind }) => kind })
    const request = lab.publish('app:1', image)
    await lab.pull(request)
    const receipts = async () => {
      const stored = await lab.store.find(image.id)
      return stored === undefined ? undefined : await lab.store.receipts.of(stored)
    }
    const before = await receipts()
    expect(before?.receipts).toHaveLength(1)
    lab.registry.fault = () => down
    await lab.pull({ ...request, credentials: { kind: 'basic', username: 'mallory', password: 'x' } })
    expect(await receipts()).toEqual(before)
  })

  it('is one whose repository was named', async () => {
    await using lab = await openLab()
    const request = lab.publish('app:1', image)
    await lab.pull(request)
    lab.registry.fault = () => down
    expect(await lab.refusal(request)).toMatchObject({ kind: 'registry-unavailable' })
    const tags = new StaleTags(['r.example/team', 'docker.io/library/'])
    const may = (name: string) => tags.mayAnswer(parseReference(name))
    expect(['r.example/team:1', 'r.example/team/app:1', 'debian'].map(may)).toEqual([true, true, true])
    const others = ['r.example/teamx:1', 'r.example/x:1', 'other/debian', `r.example/team@sha256:${'a'.repeat(64)}`]
    expect(others.map(may)).toEqual([false, false, false, false])
  })
})
