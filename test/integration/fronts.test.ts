/** Whole pulls from Debian's docker-registry with what sites put in front of it: TLS of their own, nginx that caches, haproxy. */
import { randomBytes } from 'node:crypto'
import { mkdtempDisposable, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseReference } from '../../src/reference/parse.ts'
import { type Lab, type LabOptions, openLab } from '../pull/lab.ts'
import { makeCertificates } from '../registry/certificates.ts'
import { type DockerRegistryOptions, startDockerRegistry } from '../registry/docker-registry.ts'
import { boundless } from '../support/boundless.ts'
import { buildImage, buildLayer } from '../support/image.ts'
import { type Front, startHaproxy, startNginx } from './fronts.ts'
import { lacking } from './lacking.ts'
import { push } from './push.ts'

const MB = 1_000_000
const large = buildLayer({ tar: [{ name: 'large', content: randomBytes(12 * MB) }], compression: 'none' })
const image = buildImage({ layers: [large, buildLayer({ tar: [{ name: 'small', content: 'small' }] })] })

const request = (host: string) =>
  ({ reference: parseReference(`${host}/team/app:1`), credentials: { kind: 'anonymous' }, client: 'cli' }) as const

/** Registries that share what was pushed to one of them, the first. */
async function registries(...options: readonly DockerRegistryOptions[]) {
  await using resources = new AsyncDisposableStack()
  const dir = resources.use(await mkdtempDisposable(join(tmpdir(), 'windlass-shared-'))).path
  const plain = resources.use(await startDockerRegistry({ dir }))
  await push({ host: plain.host, repository: 'team/app' }, '1', image)
  const others = []
  for (const each of options) others.push(resources.use(await startDockerRegistry({ ...each, dir })))
  const owned = resources.move()
  return { all: [plain, ...others] as const, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

const blobGets = (log: string): number => log.split(`GET /v2/team/app/blobs/${large.descriptor.digest}`).length - 1

/** A lab in which `die` is called, and waited for, once two megabytes of layers have come. */
function labWith(die: () => Promise<void>, options: LabOptions = {}): Promise<Lab> {
  let bytes = 0
  let dying: Promise<void> | undefined
  const arrived = (count: number): Promise<void> | undefined => {
    bytes += count
    if (bytes < 2 * MB || dying !== undefined) return undefined
    dying = die()
    return dying
  }
  return openLab({ ...options, roomIn: () => ({ ...boundless, arrived }) })
}

async function expectWhole(lab: Lab, id: string): Promise<void> {
  expect(id).toBe(image.id)
  const layer = await lab.store.layer((await lab.store.find(id))?.layerIds[1] ?? expect.fail('the image is not here'))
  expect(await readFile(join(layer?.diff ?? '', 'small'), 'utf8')).toBe('small')
}

describe.skipIf(lacking('root', 'docker-registry', 'openssl'))('docker-registry behind a CA of its own', () => {
  const { ca, server, client } = makeCertificates()
  const stranger = makeCertificates()
  const files = { 'ca.pem': ca, 'client.pem': client.cert, 'client.key': client.key }
  const tables = (host: string) => ({
    whole: `server = "https://${host}"\nca = "ca.pem"\nclient = [["client.pem", "client.key"]]\n`,
    mirror: `server = "http://127.0.0.1:1"\n[host."https://${host}"]\nca = "ca.pem"\nclient = [["client.pem", "client.key"]]\n`,
  })

  it.each(['whole', 'mirror'] as const)('that wants client certificates gives the image to who has one: %s', async (table) => {
    await using shared = await registries({ tls: { ...server, clientCa: ca } })
    const host = shared.all[1]?.host ?? ''
    await using lab = await openLab()
    const asked = table === 'whole' ? host : 'site.test'
    lab.describeHost(asked, tables(host)[table], files)
    await expectWhole(lab, (await lab.pull(request(asked))).id)
    expect(shared.all[1]?.log()).toContain(large.descriptor.digest)
  })

  it('and to nobody else: a certificate that is missing or another’s ends it before anything is asked', async () => {
    await using shared = await registries({ tls: { ...server, clientCa: ca } })
    const host = shared.all[1]?.host ?? ''
    await using lab = await openLab()
    const refusedWith = async (toml: string, more = {}) => {
      lab.describeHost(host, toml, { ...files, ...more })
      const failure = await lab.refusal(request(host))
      if (failure.kind !== 'registry-unavailable') expect.fail(`it is ${failure.kind}`)
      return failure.tried.map((each) => each.result).join()
    }
    const { whole } = tables(host)
    expect(await refusedWith(`server = "https://${host}"`)).toMatch(/certificate/)
    expect(await refusedWith(whole, { 'ca.pem': stranger.ca })).toMatch(/certificate/)
    // In TLS 1.3 the server looks at it when the client is through already, so that its reason may be lost with the connection.
    const refused = /certificate|unknown ca|alert|connection (closed|reset)/
    expect(await refusedWith(whole.replace(/client = .*/, ''))).toMatch(refused)
    expect(await refusedWith(whole, { 'client.pem': stranger.client.cert, 'client.key': stranger.client.key })).toMatch(refused)
    expect(shared.all[1]?.log()).not.toContain('GET /v2/team/app')
  })

  it.skipIf(lacking('haproxy'))('or behind haproxy that has it, with plain HTTP behind', async () => {
    await using shared = await registries({})
    await using haproxy = await startHaproxy(
      shared.all.map(({ host }) => host),
      { ...server, clientCa: ca },
    )
    await using lab = await openLab()
    lab.describeHost(haproxy.host, tables(haproxy.host).whole, files)
    await expectWhole(lab, (await lab.pull(request(haproxy.host))).id)
    // Both of those behind it had their share.
    expect(shared.all.map((each) => each.log().includes('GET /v2/team/app/'))).toEqual([true, true])
  })
})

describe.skipIf(lacking('root', 'docker-registry', 'nginx'))('nginx that caches, as a mirror', () => {
  it('hands a layer to the second node without asking the registry', async () => {
    await using shared = await registries()
    const [registry] = shared.all
    await using nginx = await startNginx(registry.host)
    for (const _node of [1, 2]) {
      await using lab = await openLab()
      lab.useMirror(`http://${nginx.host}`, { host: 'site.test', origin: 'http://127.0.0.1:1' })
      await expectWhole(lab, (await lab.pull(request('site.test'))).id)
    }
    expect(blobGets(registry.log())).toBe(1)
  })

  it('that dies in the middle of a layer is left, and the registry goes on from there', async () => {
    await using shared = await registries()
    const [registry] = shared.all
    await using nginx = await startNginx(registry.host, { bytesPerSecond: 4 * MB })
    await goesOn(nginx, registry)
  })
})

describe.skipIf(lacking('root', 'docker-registry', 'haproxy'))('haproxy, as a mirror', () => {
  it('that dies in the middle of a layer is left, and the registry goes on from there', async () => {
    await using shared = await registries({})
    const [registry, behind] = shared.all
    await using haproxy = await startHaproxy([behind?.host ?? ''])
    await goesOn(haproxy, registry)
  })

  it('whose registry dies in the middle of a layer answers 503: the next host goes on', async () => {
    await using shared = await registries()
    const [registry] = shared.all
    await using behind = await startNginx(registry.host, { bytesPerSecond: 4 * MB })
    await using haproxy = await startHaproxy([behind.host])
    await goesOn({ host: haproxy.host, die: behind.die }, registry)
  })
})

/** A pull through a mirror that ends after some of the large layer: whole all the same, and by far not all of it twice. */
async function goesOn(mirror: Pick<Front, 'host' | 'die'>, registry: { readonly host: string; log(): string }): Promise<void> {
  await using lab = await labWith(mirror.die)
  lab.useMirror(`http://${mirror.host}`, { host: registry.host, origin: `http://${registry.host}` })
  const { id, events } = await lab.pull(request(registry.host))
  await expectWhole(lab, id)
  const reports = events.flatMap((event) => (event.type === 'layer' ? [event.report] : []))
  expect(reports.map(({ origin }) => origin)).toEqual(['registry', 'registry'])
  expect(registry.log()).toMatch(new RegExp(`GET /v2/team/app/blobs/${large.descriptor.digest} .* 206 `))
}
