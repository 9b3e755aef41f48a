import { describe, expect, it } from 'vitest'
import { type FailureKind, WindlassError } from '../../src/failure/failure.ts'
import { sha256 } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/oci.ts'
import { compressionOf, parseConfig, parseManifestOrIndex } from '../../src/oci/parse.ts'

const d = sha256('x')
const gzip = 'application/vnd.oci.image.layer.v1.tar+gzip'
const layer = { mediaType: gzip, digest: d, size: 5 }
const config = { mediaType: mediaTypes.ociConfig, digest: d, size: 9 }
const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] }
const index = {
  schemaVersion: 2,
  mediaType: mediaTypes.ociIndex,
  manifests: [{ mediaType: mediaTypes.ociManifest, digest: d, size: 3 }],
}

const bytes = (document: unknown): Buffer => Buffer.from(typeof document === 'string' ? document : JSON.stringify(document))
const parse = (document: unknown, mediaType: string = mediaTypes.ociManifest): ReturnType<typeof parseManifestOrIndex> =>
  parseManifestOrIndex(bytes(document), { mediaType, digest: d }, 'r.example')
const parseImage = (document: unknown, layers = 1): ReturnType<typeof parseConfig> =>
  parseConfig(bytes(document), { digest: d }, 'r.example', layers)
const refused = (act: () => unknown): { kind: FailureKind; text: string } => {
  try {
    act()
  } catch (error) {
    if (error instanceof WindlassError) return { kind: error.failure.kind, text: error.message }
    throw error
  }
  throw new Error('it was accepted')
}

describe('parseManifestOrIndex', () => {
  it('reads OCI and docker manifests and leaves unknown fields out', () => {
    expect(
      parse({ ...manifest, subject: { any: 1 }, layers: [{ ...layer, urls: ['http://evil.example'], data: 'eA==' }] }),
    ).toEqual({
      kind: 'manifest',
      mediaType: mediaTypes.ociManifest,
      config,
      layers: [layer],
    })
    const docker = {
      ...manifest,
      mediaType: mediaTypes.dockerManifest,
      config: { ...config, mediaType: mediaTypes.dockerConfig },
    }
    expect(parse(docker, mediaTypes.dockerManifest)).toMatchObject({ kind: 'manifest', mediaType: mediaTypes.dockerManifest })
  })

  it('reads indexes with platforms, variants and null fields', () => {
    const entry = {
      ...index.manifests[0],
      platform: { os: 'linux', architecture: 'arm', variant: 'v7', 'os.version': '', features: ['x'] },
      annotations: null,
    }
    expect(parse({ ...index, manifests: [entry] }, mediaTypes.ociIndex)).toMatchObject({
      kind: 'index',
      manifests: [{ digest: d, size: 3, platform: { os: 'linux', architecture: 'arm', variant: 'v7' } }],
    })
    expect(parse({ ...index, mediaType: mediaTypes.dockerList }, mediaTypes.dockerList).kind).toBe('index')
  })

  it('goes by the shape where neither server nor document says a type', () => {
    const { mediaType: _, ...untyped } = manifest
    expect(parse(untyped, 'application/json').mediaType).toBe(mediaTypes.ociManifest)
    expect(parse(untyped, mediaTypes.ociManifest).kind).toBe('manifest')
    expect(parse({ schemaVersion: 2, manifests: [] }, 'text/plain').kind).toBe('index')
  })

  const big = (digits: string): string => JSON.stringify(manifest).replace('"size":5', `"size":${digits}`)
  it.each([
    ['an index with layers', { ...index, layers: [] }, mediaTypes.ociIndex, /ambiguous/],
    ['a manifest with manifests', { ...manifest, manifests: [] }, mediaTypes.ociManifest, /ambiguous/],
    ['a manifest with Manifests', { ...manifest, Manifests: [] }, mediaTypes.ociManifest, /ambiguous/],
    ['a type other than served', manifest, mediaTypes.dockerManifest, /calls itself/],
    ['a manifest served as index', manifest, mediaTypes.ociIndex, /calls itself/],
    ['a double key', '{"layers":[],"schemaVersion":2,"layers":[]}', mediaTypes.ociManifest, /"layers" is there twice/],
    ['a double key, escaped', '{"layers":[],"\\u006cayers":[]}', mediaTypes.ociManifest, /twice/],
    ['a double key in other case', '{"layers":[],"Layers":[]}', mediaTypes.ociManifest, /twice/],
    ['a double key below', '{"config":{"digest":"a","size":1,"digest":"b"}}', mediaTypes.ociManifest, /"digest" is there twice/],
    ['a double key below, in other case', '{"config":{"digest":"a","size":1,"Digest":"b"}}', mediaTypes.ociManifest, /twice/],
    ['a double key in letters that Go takes for the same', '{"layers":[],"layer\u017f":[]}', mediaTypes.ociManifest, /twice/],
    ['a list', '[]', mediaTypes.ociManifest, /not a JSON object/],
    ['HTML', '<!doctype html><title>Sign in', mediaTypes.ociManifest, /not JSON; it starts with "<!doctype/],
    ['nothing', '', mediaTypes.ociManifest, /not JSON/],
    ['size 0', big('0'), mediaTypes.ociManifest, /layers\[0\]\.size.*at least 1/],
    ['a negative size', big('-1'), mediaTypes.ociManifest, /at least 1/],
    ['a size with a fraction', big('5.5'), mediaTypes.ociManifest, /integer/],
    ['size 2^53', big('9007199254740992'), mediaTypes.ociManifest, /2\^53/],
    ['size 2^53+1', big('9007199254740993'), mediaTypes.ociManifest, /2\^53/],
    ['a size as text', big('"5"'), mediaTypes.ociManifest, /size/],
    [
      'a short digest',
      { ...manifest, layers: [{ ...layer, digest: 'sha256:ab' }] },
      mediaTypes.ociManifest,
      /layers\[0\]\.digest: bad digest/,
    ],
    [
      'an upper-case digest',
      { ...manifest, config: { ...config, digest: d.toUpperCase() } },
      mediaTypes.ociManifest,
      /bad digest/,
    ],
    [
      'a path for a digest',
      { ...manifest, config: { ...config, digest: 'sha256:../../x' } },
      mediaTypes.ociManifest,
      /bad digest/,
    ],
    [
      'sha512',
      { ...manifest, config: { ...config, digest: `sha512:${'a'.repeat(128)}` } },
      mediaTypes.ociManifest,
      /only sha256/,
    ],
    ['no layers field', { ...manifest, layers: undefined }, mediaTypes.ociManifest, /layers/],
    [
      '1,001 descriptors',
      { ...index, manifests: Array.from({ length: 1001 }, () => index.manifests[0]) },
      mediaTypes.ociIndex,
      /1000/,
    ],
    ['schemaVersion 3', { ...manifest, schemaVersion: 3 }, mediaTypes.ociManifest, /schemaVersion/],
  ])('refuses %s', (_, document, mediaType, reason) => {
    const { kind, text } = refused(() => parse(document, mediaType))
    expect(kind).toBe('malformed')
    expect(text).toMatch(reason)
    expect(text).toMatch(/r\.example/)
  })

  it('refuses bytes that are no UTF-8', () => {
    expect(refused(() => parseManifestOrIndex(Buffer.from([0x7b, 0xff, 0x7d]), { mediaType: '', digest: d }, 'h')).text).toMatch(
      /UTF-8/,
    )
  })

  it.each([
    [
      'schema 1',
      { schemaVersion: 1, name: 'x', fsLayers: [] },
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
      /schema 1/,
    ],
    ['schema 1 without a type', { schemaVersion: 1, name: 'x', fsLayers: [] }, 'application/json', /schema 1/],
    [
      'a helm chart',
      { ...manifest, config: { ...config, mediaType: 'application/vnd.cncf.helm.config.v1+json' } },
      mediaTypes.ociManifest,
      /helm.*artifact/,
    ],
    ['an answer from a proxy', { login: 'please' }, 'application/octet-stream', /proxy/],
    ['no layers', { ...manifest, layers: [] }, mediaTypes.ociManifest, /no layers/],
    ['501 layers', { ...manifest, layers: Array.from({ length: 501 }, () => layer) }, mediaTypes.ociManifest, /501 layers/],
  ])('says %s is unsupported', (_, document, mediaType, hint) => {
    const { kind, text } = refused(() => parse(document, mediaType))
    expect(kind).toBe('unsupported')
    expect(text).toMatch(hint)
  })

  it('takes 500 layers, and 4 MiB of document in two seconds', () => {
    expect(parse({ ...manifest, layers: Array.from({ length: 500 }, () => layer) })).toMatchObject({ layers: { length: 500 } })
    const started = performance.now()
    parse({ ...manifest, annotations: { long: 'x\\"'.repeat(700_000) }, deep: Array.from({ length: 100_000 }, (_, i) => [i]) })
    expect(performance.now() - started).toBeLessThan(2000)
  })
})

describe('parseConfig', () => {
  const image = { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [d] }, history: [{ created_by: 'x' }] }

  it('reads what a container needs and nothing else', () => {
    const run = {
      User: '1000:50',
      ExposedPorts: { '80/tcp': {} },
      Env: ['A=1'],
      Entrypoint: null,
      Cmd: ['/hello'],
      Volumes: { '/data': {} },
      WorkingDir: '/srv',
      Labels: { a: 'b', A: 'c' },
      StopSignal: 'SIGINT',
      Healthcheck: { Test: ['x'] },
    }
    expect(parseImage({ ...image, created: '2026-01-01T00:00:00Z', config: run })).toEqual({
      platform: { os: 'linux', architecture: 'amd64' },
      created: '2026-01-01T00:00:00Z',
      run: {
        user: '1000:50',
        exposedPorts: ['80/tcp'],
        env: ['A=1'],
        entrypoint: [],
        cmd: ['/hello'],
        volumes: ['/data'],
        workingDir: '/srv',
        labels: { a: 'b', A: 'c' },
        stopSignal: 'SIGINT',
      },
      diffIds: [d],
    })
  })

  it('takes an image without a run section', () => {
    expect(parseImage({ ...image, config: null }).run).toEqual({
      exposedPorts: [],
      env: [],
      entrypoint: [],
      cmd: [],
      volumes: [],
      labels: {},
    })
  })

  it.each([
    ['fewer diffIDs than layers', image, 2, /1 diff_ids for the 2 layers/],
    ['more diffIDs than layers', { ...image, rootfs: { type: 'layers', diff_ids: [d, d] } }, 1, /2 diff_ids for the 1 layers/],
    ['a bad diffID', { ...image, rootfs: { type: 'layers', diff_ids: ['sha256:..'] } }, 1, /diff_ids\[0\]: bad digest/],
    ['no rootfs', { ...image, rootfs: undefined }, 1, /rootfs/],
    ['another rootfs', { ...image, rootfs: { type: 'vhd', diff_ids: [d] } }, 1, /rootfs\.type/],
    ['no architecture', { ...image, architecture: '' }, 1, /architecture/],
    ['a User that is no text', { ...image, config: { User: 0 } }, 1, /config\.User/],
  ])('refuses %s', (_, document, layers, reason) => {
    const { kind, text } = refused(() => parseImage(document, layers))
    expect(kind).toBe('malformed')
    expect(text).toMatch(reason)
  })
})

describe('compressionOf', () => {
  it.each([
    [gzip, 'gzip'],
    ['application/vnd.oci.image.layer.v1.tar+zstd', 'zstd'],
    ['application/vnd.oci.image.layer.v1.tar', 'none'],
    ['application/vnd.docker.image.rootfs.diff.tar.gzip', 'gzip'],
    ['application/vnd.docker.image.rootfs.diff.tar', 'none'],
  ])('%s is %s', (mediaType, compression) => {
    expect(compressionOf(mediaType)).toBe(compression)
  })

  it.each([
    ['application/vnd.oci.image.layer.v1.tar+gzip+encrypted', /encrypted/],
    ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', /Windows/],
    ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', /Windows/],
    ['application/vnd.oci.image.layer.v1.tar+xz', /gzip or zstd/],
    ['application/vnd.in-toto+json', /attestation/],
    ['constructor', /gzip or zstd/],
  ])('refuses %s with a hint', (mediaType, hint) => {
    const { kind, text } = refused(() => compressionOf(mediaType))
    expect(kind).toBe('unsupported')
    expect(text).toMatch(hint)
  })
})
