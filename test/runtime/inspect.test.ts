import { expect, it, onTestFinished } from 'vitest'
import type { ImageSettings } from '../../src/runtime/containerd-config.ts'
import { type Files, inspectRuntime } from '../../src/runtime/inspect.ts'
import { obstacleFor } from '../../src/runtime/obstacle.ts'
import { startDaemon, testServices, unbounded } from '../rpc/daemon.ts'

const silent = { file: '/etc/containerd/config.toml', snapshotters: {}, unread: [] }

const options = { signal: unbounded }
const overlayfs = '/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs'
const nothing: ImageSettings = { ...silent, verifiers: [] }

/** What containerd's Status says of its configuration, cut to what is read of it: as 1.6.20 and 1.7.24 say it, and 2.1.9. */
const status = {
  '1.6.20~ds1': {
    containerd: {
      snapshotter: 'overlayfs',
      defaultRuntimeName: 'runc',
      runtimes: { runc: { runtimeType: 'io.containerd.runc.v2' } },
    },
    registry: { configPath: '', mirrors: null, configs: null, auths: null, headers: null },
    sandboxImage: 'registry.k8s.io/pause:3.6',
  },
  '1.7.24~ds1': {
    containerd: { snapshotter: 'overlayfs', runtimes: { runc: { runtimeType: 'io.containerd.runc.v2', snapshotter: '' } } },
    registry: { configPath: '/etc/containerd/certs.d', mirrors: null, configs: null, auths: null, headers: null },
    sandboxImage: 'registry.k8s.io/pause:3.8',
  },
  '2.1.9+unknown': {
    containerd: { defaultRuntimeName: 'runc', runtimes: { runc: { runtimeType: 'io.containerd.runc.v2', snapshotter: '' } } },
    enableCDI: true,
  },
}

type Told = { readonly version: string; readonly info?: Record<string, string>; readonly mountpoint?: string }

/** Asks a runtime that tells this. */
async function inspect(
  kind: 'containerd' | 'crio',
  { version, info = {}, mountpoint = overlayfs }: Told,
  files: Partial<Files> = {},
) {
  const { services } = testServices()
  const daemon = await startDaemon({
    ...services,
    image: {
      ...services.image,
      handlers: { ...services.image.handlers, imageFsInfo: async () => ({ imageFilesystems: [{ fsId: { mountpoint } }] }) },
    },
    runtime: {
      ...services.runtime,
      handlers: {
        version: async () => ({ runtimeName: kind === 'crio' ? 'cri-o' : kind, runtimeVersion: version }),
        status: async ({ verbose }) => (verbose ? { info } : {}),
      },
    },
  })
  onTestFinished(() => daemon[Symbol.asyncDispose]())
  return await inspectRuntime({ kind, socket: '/run/it.sock' }, daemon.client, options, {
    containerd: () => nothing,
    crio: () => [],
    ...files,
  })
}
const config = (value: unknown): Record<string, string> => ({ config: JSON.stringify(value), golang: '"go1.24"' })

it.each(['1.6.20~ds1', '1.7.24~ds1'] as const)('reads what containerd %s says', async (version) => {
  const said = status[version]
  expect(await inspect('containerd', { version, info: config(said) })).toEqual({
    name: 'containerd',
    version,
    snapshotter: 'overlayfs',
    otherSnapshotters: new Map(),
    sandboxImage: said.sandboxImage,
    ...(said.registry.configPath === '' ? {} : { hostsDir: said.registry.configPath }),
    obstacles: [],
  })
})

it('reads of containerd 2 in its file what it does not say', async () => {
  const version = '2.1.9+unknown'
  const file: ImageSettings = {
    registry: { config_path: '/etc/certs.d' },
    sandboxImage: 'r.example/pause:1',
    ...nothing,
    verifiers: [],
  }
  expect(await inspect('containerd', { version, info: config(status[version]) }, { containerd: () => file })).toEqual({
    name: 'containerd',
    version,
    snapshotter: 'overlayfs',
    otherSnapshotters: new Map(),
    sandboxImage: 'r.example/pause:1',
    hostsDir: '/etc/certs.d',
    obstacles: [],
  })
})

it.each<[string, Told, Partial<Files>, RegExp]>([
  [
    'another default snapshotter',
    { version: '1.7.24', info: config({ ...status['1.7.24~ds1'], containerd: { snapshotter: 'stargz' } }) },
    {},
    /default snapshotter is stargz/,
  ],
  [
    'the same, where only its directory shows it',
    { version: '2.1.9', info: {}, mountpoint: '/x/io.containerd.snapshotter.v1.zfs' },
    {},
    /zfs/,
  ],
  ['a snapshotter that nothing shows', { version: '2.1.9', mountpoint: '' }, {}, /unknown/],
  [
    'mirrors that its file, as it is found here, does not have',
    {
      version: '1.6.20',
      info: config({ ...status['1.6.20~ds1'], registry: { mirrors: { 'docker.io': { endpoint: ['https://m'] } } } }),
    },
    {},
    /registry\.mirrors, which cannot be read here/,
  ],
  [
    'logins of another shape, in the file of 2.x',
    { version: '2.0.1', info: config(status['2.1.9+unknown']) },
    { containerd: () => ({ registry: { configs: { 'r.example': { auth: 7 } }, auths: { x: {} } }, ...silent, verifiers: [] }) },
    /registry\.configs, registry\.auths, which cannot be read here/,
  ],
  [
    'image verifiers',
    { version: '2.1.9', info: config(status['2.1.9+unknown']) },
    { containerd: () => ({ ...silent, verifiers: ['cosign'] }) },
    /image verifiers before it pulls \(cosign\)/,
  ],
])('leaves pulls to a containerd with %s', async (_, told, files, words) => {
  const facts = await inspect('containerd', told, files)
  expect(facts.obstacles).toEqual([expect.stringMatching(words)])
  expect(obstacleFor(facts, '')).toEqual({ reason: 'obstacle', text: facts.obstacles[0] })
})

it('takes headers beside its directories for what they are', async () => {
  const registry = { config_path: '/c', headers: { X: ['y'] } }
  const told = { version: '2.0.1', info: config(status['2.1.9+unknown']) }
  const facts = await inspect('containerd', told, { containerd: () => ({ registry, ...silent, verifiers: [] }) })
  expect(facts).toMatchObject({ obstacles: [], hostsDir: expect.any(String), registries: { headers: { x: ['y'] } } })
})

it.each(['1.6.20', '2.1.9'])(
  'reads mirrors, TLS, headers and logins of containerd %s where they are written',
  async (version) => {
    const registry = {
      mirrors: { 'docker.io': { endpoint: ['https://m.example', 'http://n.example:5000'] }, '*': { endpoint: [] } },
      configs: {
        'm.example': {
          auth: { username: 'u', password: 'p' },
          tls: { ca_file: '/ca.pem', cert_file: '/c.pem', key_file: '/k.pem' },
        },
        'n.example:5000': { auth: { identitytoken: 't' }, tls: { insecure_skip_verify: true } },
      },
      auths: { 'https://old.example/v1/': { auth: 'dTpw' } },
      headers: { 'X-Site': ['a', 'b'] },
    }
    const said = { ...status['1.6.20~ds1'], registry: { mirrors: registry.mirrors, configs: registry.configs } }
    const info = config(version === '1.6.20' ? said : status['2.1.9+unknown'])
    const facts = await inspect('containerd', { version, info }, { containerd: () => ({ registry, ...silent, verifiers: [] }) })
    const login = { username: '', password: '', auth: '', identityToken: '' }
    expect(facts.obstacles).toEqual([])
    expect(facts.registries).toEqual({
      file: '/etc/containerd/config.toml',
      mirrors: { 'docker.io': ['https://m.example', 'http://n.example:5000'], '*': [] },
      tls: {
        'm.example': { ca: ['/ca.pem'], client: [{ cert: '/c.pem', key: '/k.pem' }], skipVerify: false },
        'n.example:5000': { ca: [], client: [], skipVerify: true },
      },
      headers: { 'x-site': ['a', 'b'] },
      logins: {
        'm.example': { ...login, username: 'u', password: 'p' },
        'n.example:5000': { ...login, identityToken: 't' },
        'old.example': { ...login, auth: 'dTpw' },
      },
    })
  },
)

it('logins beside config_path count, and are no obstacle', async () => {
  const registry = { config_path: '/c', configs: { 'r.example': { auth: { username: 'u', password: 'p' } } } }
  const told = { version: '2.1.9', info: config(status['2.1.9+unknown']) }
  const facts = await inspect('containerd', told, { containerd: () => ({ registry, ...silent, verifiers: [] }) })
  expect(facts).toMatchObject({ hostsDir: '/c', obstacles: [], registries: { logins: { 'r.example': { username: 'u' } } } })
})

it('asks for no verifiers before containerd has them', async () => {
  const info = config(status['1.7.24~ds1'])
  const facts = await inspect(
    'containerd',
    { version: '1.7.24', info },
    { containerd: () => ({ ...silent, verifiers: ['left over'] }) },
  )
  expect(facts.obstacles).toEqual([])
})

it('leaves the pulls of a handler with another snapshotter, and of that handler alone', async () => {
  const runtimes = { runc: { snapshotter: '' }, kata: { snapshotter: 'devmapper' }, gvisor: { snapshotter: 'overlayfs' } }
  const said = { ...status['1.7.24~ds1'], containerd: { snapshotter: 'overlayfs', runtimes } }
  const facts = await inspect('containerd', { version: '1.7.24', info: config(said) })
  expect(facts).toMatchObject({ otherSnapshotters: new Map([['kata', 'devmapper']]), obstacles: [] })
  expect(obstacleFor(facts, 'kata')).toEqual({ reason: 'runtime-handler', text: expect.stringContaining('devmapper') })
  expect(['', 'runc', 'gvisor'].map((handler) => obstacleFor(facts, handler))).toEqual([undefined, undefined, undefined])
})

it.each([
  ['no JSON', { config: '{' }],
  ['JSON of another shape', { config: '[1]' }],
  ['other types', config({ containerd: { snapshotter: 7, runtimes: [] }, registry: 'x', sandboxImage: {} })],
  ['nothing', {}],
])('takes %s for not said', async (_, info) => {
  expect(await inspect('containerd', { version: '1.7.24', info })).toEqual({
    name: 'containerd',
    version: '1.7.24',
    snapshotter: 'overlayfs',
    otherSnapshotters: new Map(),
    obstacles: [],
  })
})

it('knows of CRI-O what binds its pulls', async () => {
  expect(await inspect('crio', { version: '1.32.1' }, { crio: () => ['it wants signatures'] })).toEqual({
    name: 'cri-o',
    version: '1.32.1',
    otherSnapshotters: new Map(),
    obstacles: ['it wants signatures'],
  })
})
