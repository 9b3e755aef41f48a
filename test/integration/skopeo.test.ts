/** Images as skopeo pushes them into Debian's docker-registry, pulled from there. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describe as inWords } from '../../src/failure/failure.ts'
import { hexOf, sha256 } from '../../src/oci/digest.ts'
import { type Descriptor, mediaTypes } from '../../src/oci/oci.ts'
import { parseReference } from '../../src/reference/parse.ts'
import { type Lab, openLab } from '../pull/lab.ts'
import { type DockerRegistry, startDockerRegistry } from '../registry/docker-registry.ts'
import { type BuiltImage, buildImage, type LayerSpec } from '../support/image.ts'
import { lacking } from './lacking.ts'

const run = promisify(execFile)
const layer = (name: string, compression: LayerSpec['compression'] = 'gzip'): LayerSpec => ({
  tar: [{ type: 'file', name, content: `this is ${name}` }],
  compression,
})

/** An OCI image layout (image-spec image-layout.md) of blobs, with one entry that is called `it`. */
function layout(dir: string, entry: Descriptor, blobs: readonly Uint8Array[]): string {
  mkdirSync(join(dir, 'blobs', 'sha256'), { recursive: true })
  for (const blob of blobs) writeFileSync(join(dir, 'blobs', 'sha256', hexOf(sha256(blob))), blob)
  writeFileSync(join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  const named = { ...entry, annotations: { 'org.opencontainers.image.ref.name': 'it' } }
  writeFileSync(join(dir, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [named] }))
  return `oci:${dir}:it`
}

const blobsOf = (image: BuiltImage): readonly Uint8Array[] => [image.bytes, image.config, ...image.layers.map(({ blob }) => blob)]
const describedAs = (bytes: Uint8Array, mediaType: string): Descriptor => ({
  mediaType,
  digest: sha256(bytes),
  size: bytes.length,
})
const json = (document: unknown): Buffer => Buffer.from(JSON.stringify(document))

describe.skipIf(lacking('root', 'skopeo', 'docker-registry'))('what skopeo has pushed', () => {
  const resources = new AsyncDisposableStack()
  let dir: string
  let registry: DockerRegistry
  let lab: Lab
  let copies = 0

  beforeAll(async () => {
    dir = resources.use(mkdtempDisposableSync(join(tmpdir(), 'windlass-skopeo-'))).path
    registry = resources.use(await startDockerRegistry({ foreignUrls: true }))
    lab = resources.use(await openLab())
  })
  afterAll(() => resources.disposeAsync())

  /** Copies a layout into the registry, and returns what asks for it. */
  async function push(entry: Descriptor, blobs: readonly Uint8Array[], ...options: string[]) {
    const name = `${registry.host}/team/copy:${++copies}`
    const source = layout(join(dir, String(copies)), entry, blobs)
    const where = ['--insecure-policy', '--tmpdir', dir]
    await run('skopeo', [...where, 'copy', '--quiet', '--dest-tls-verify=false', ...options, source, `docker://${name}`])
    return { reference: parseReference(name), credentials: { kind: 'anonymous' }, client: 'cli' } as const
  }

  /** The names and contents of the files in an image's layers, base first. */
  async function filesOf(id: string, names: readonly string[]): Promise<string[]> {
    const { layerIds } = (await lab.store.find(id)) ?? expect.fail(`image ${id} is not here`)
    const diffs = await Promise.all(layerIds.map((each) => lab.store.layer(each)))
    return diffs.map((each, at) => readFileSync(join(each?.diff ?? '', names[at] ?? ''), 'utf8'))
  }

  it('an OCI image, and the same as docker schema 2', async () => {
    const image = buildImage({ layers: [layer('one'), layer('two')] })
    const oci = await push(image.descriptor, blobsOf(image))
    expect((await lab.pull(oci)).id).toBe(image.id)
    expect(await filesOf(image.id, ['one', 'two'])).toEqual(['this is one', 'this is two'])
    const docker = await push(image.descriptor, blobsOf(image), '--format', 'v2s2')
    const { id, events } = await lab.pull(docker)
    const resolved = events.find((event) => event.type === 'resolved')
    expect([id, resolved?.manifest.mediaType]).toEqual([image.id, mediaTypes.dockerManifest])
    // The same layers by other names.
    expect(events.flatMap((event) => (event.type === 'layer' ? [event.report.origin] : []))).toEqual(['here', 'here'])
  })

  it('layers compressed with zstd, by skopeo itself too', async () => {
    const image = buildImage({ layers: [layer('zstd-one', 'zstd'), layer('gzip-two')] })
    const { id } = await lab.pull(await push(image.descriptor, blobsOf(image)))
    expect(await filesOf(id, ['zstd-one', 'gzip-two'])).toEqual(['this is zstd-one', 'this is gzip-two'])
    const plain = buildImage({ layers: [layer('plain', 'none')] })
    const pulled = await lab.pull(await push(plain.descriptor, blobsOf(plain), '--dest-compress-format', 'zstd'))
    const planned = pulled.events.find((event) => event.type === 'planned')
    expect(planned?.plan.layers.map(({ blob }) => blob.mediaType)).toEqual(['application/vnd.oci.image.layer.v1.tar+zstd'])
    expect(await filesOf(pulled.id, ['plain'])).toEqual(['this is plain'])
  })

  it('an index with attestations, which are taken for no platform', async () => {
    const image = buildImage({ layers: [layer('attested')] })
    const statement = json({ _type: 'https://in-toto.io/Statement/v0.1' })
    const config = json({
      os: 'unknown',
      architecture: 'unknown',
      config: {},
      rootfs: { type: 'layers', diff_ids: [sha256(statement)] },
    })
    const manifest = json({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: describedAs(config, mediaTypes.ociConfig),
      layers: [describedAs(statement, 'application/vnd.in-toto+json')],
    })
    const attestation = {
      ...describedAs(manifest, mediaTypes.ociManifest),
      platform: { os: 'unknown', architecture: 'unknown' },
      annotations: {
        'vnd.docker.reference.type': 'attestation-manifest',
        'vnd.docker.reference.digest': image.descriptor.digest,
      },
    }
    const index = json({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [attestation, image.descriptor] })
    const blobs = [index, manifest, config, statement, ...blobsOf(image)]
    const request = await push(describedAs(index, mediaTypes.ociIndex), blobs, '--all')
    expect((await lab.pull(request)).id).toBe(image.id)
    const offer = await lab.looker.platforms(
      { name: nameOf(request), credentials: request.credentials, local: false },
      { signal: AbortSignal.timeout(10_000) },
    )
    expect(offer).toMatchObject({ platforms: [{ platform: 'linux/amd64', fit: 'chosen' }], attestations: 1 })
    expect(await lab.refusal({ ...request, platform: { os: 'linux', architecture: 's390x' } })).toMatchObject({
      offered: ['linux/amd64'],
    })
  })

  it('an image of a hundred layers', async () => {
    const names = Array.from({ length: 100 }, (_, at) => `file-${at}`)
    const image = buildImage({ layers: names.map((name) => layer(name)) })
    const { id } = await lab.pull(await push(image.descriptor, blobsOf(image)))
    expect(await filesOf(id, names)).toEqual(names.map((name) => `this is ${name}`))
  })

  it('an artifact, whose config says nothing of a platform: refused by name, before any layer', async () => {
    const [empty, chart] = [json({}), Buffer.from('a chart')]
    const manifest = json({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: describedAs(empty, 'application/vnd.cncf.helm.config.v1+json'),
      layers: [describedAs(chart, 'application/vnd.cncf.helm.chart.content.v1.tar+gzip')],
    })
    const request = await push(describedAs(manifest, mediaTypes.ociManifest), [manifest, empty, chart])
    const failure = await lab.refusal(request)
    expect(failure).toMatchObject({
      kind: 'unsupported',
      what: 'artifact',
      mediaType: 'application/vnd.cncf.helm.config.v1+json',
    })
    expect(inWords(failure)).toMatch(new RegExp(`^${nameOf(request)}: .*use a tool for its type`))
    // To be looked at all the same.
    const shown = await lab.looker.lookUp(
      { name: nameOf(request), credentials: request.credentials, local: false },
      { signal: AbortSignal.timeout(10_000) },
    )
    expect(Buffer.from(shown.root.bytes).equals(manifest)).toBe(true)
  })

  it('an artifact of OCI 1.1, whose config is the empty one: named by its own type', async () => {
    const [empty, scan] = [json({}), Buffer.from('a scan')]
    const manifest = json({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType: 'application/vnd.example.scan',
      config: describedAs(empty, 'application/vnd.oci.empty.v1+json'),
      layers: [describedAs(scan, 'application/vnd.example.scan.result')],
    })
    const request = await push(describedAs(manifest, mediaTypes.ociManifest), [manifest, empty, scan])
    const failure = await lab.refusal(request)
    expect(failure).toMatchObject({ kind: 'unsupported', what: 'artifact', mediaType: 'application/vnd.example.scan' })
  })

  it('a manifest without a config: an artifact, too', async () => {
    // Neither skopeo nor docker-registry takes it in; the lab's registry does.
    const request = lab.publish('app:bare', buildImage({ layers: [layer('bare')] }))
    const bare = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, artifactType: 'application/vnd.example.bare', layers: [] }
    lab.registry.putManifest('app', 'bare', json(bare), mediaTypes.ociManifest)
    const failure = await lab.refusal(request)
    expect(failure).toMatchObject({ kind: 'unsupported', what: 'artifact', mediaType: 'application/vnd.example.bare' })
    expect(inWords(failure)).toContain('use a tool for its type')
  })

  it('foreign layers, which skopeo leaves where they are: refused with the reason', async () => {
    const image = buildImage({
      layers: [{ ...layer('foreign'), mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip' }, layer('ours')],
    })
    const document = JSON.parse(image.bytes.toString())
    document.layers[0].urls = ['https://foreign.example/layer']
    const manifest = json(document)
    const request = await push(describedAs(manifest, mediaTypes.ociManifest), [manifest, ...blobsOf(image)])
    const failure = await lab.refusal(request)
    expect(failure).toMatchObject({ kind: 'unsupported', what: 'layer' })
    expect(inWords(failure)).toContain('a foreign layer, as Windows base images have')
  })

  const nameOf = ({ reference }: Awaited<ReturnType<typeof push>>): string =>
    `${reference.registry}/${reference.repository}:${reference.tag ?? ''}`
})
