import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempDisposableSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { loadConfig, salvageConfig } from '../../src/config/load.ts'
import { configDocument } from '../../src/config/print.ts'
import type { Failure } from '../../src/failure/failure.ts'
import { failureOf, describe as inWords } from '../../src/failure/failure.ts'

const temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-config-'))
afterAll(() => temporary.remove())
const file = join(temporary.path, 'windlass.yaml')
const HEAD = 'apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\n'

const load = (text: string, flags = {}, env = {}) => {
  writeFileSync(file, text)
  return loadConfig({ file, flags, env })
}
const failureFrom = (run: () => unknown): Failure => {
  try {
    run()
  } catch (error) {
    return failureOf(error)
  }
  throw new Error('nothing was refused')
}
const refusal = (text: string) => failureFrom(() => load(HEAD + text))

const WHOLE = `${HEAD}rootDir: /srv/windlass
socket: {path: /run/w.sock, mode: "0600"}
runtime:
  kind: auto
  endpoint: unix:///run/containerd/containerd.sock
  failurePolicy: Forward
registry:
  configPath: /etc/certs
  registriesConf: /etc/r.conf
  progressTimeout: 1m30s
  httpProxy: ""
  httpsProxy: http://proxy.example:3128
  noProxy: 10.0.0.0/8,.example
  authFiles: [/etc/a.json, /etc/b.json]
  credentialProvider: {configPath: /etc/p.yaml, binDir: /opt/p}
  recheckAccess: true
  maxConnections: 9
  maxConnectionsPerHost: 8
  maxConnectionsPerLayer: 2
  maxBytesPerSecond: 50Mi
  staleTagsFor: ["r.example:5000/team", r.example]
maxParallelImagePulls: 7
unpackWorkers: 3
durability: Sync
keepBlobs: false
keepPartials: true
gc: {highThresholdPercent: 70, lowThresholdPercent: 60, minimumAge: 5m, maximumAge: 168h}
pins:
- {images: ["r.example/base/*", "**:keep"], reason: the base of all, ttl: 72h}
- {images: [registry.k8s.io/pause]}
limits: {maxUnpackedSize: 2Gi, maxLayerEntries: 1000, maxCompressionRatio: 50, maxLayerMetadata: 1Mi}
metrics: {bindAddress: "127.0.0.1:9477"}
logging: {format: text, level: debug}
prepull:
  listDir: /etc/windlass/lists
  secretsDir: /etc/windlass/secrets
  archiveDir: /srv/images
  startJitter: 5m
  maxParallelImagePulls: 1
  maxBytesPerSecond: 100Mi
  minFreePercent: 20
  credentialProvider: {configPath: /etc/c, binDir: /opt/bin}
---
apiVersion: windlass.dev/v1alpha1
kind: ImageList
metadata: {name: base}
spec: {images: [{image: "r.example/app:v2"}]}
`

describe('what is in force', () => {
  test('nothing said: the defaults, frozen', () => {
    const config = loadConfig({ flags: {}, env: {} })
    expect(config).toMatchObject({
      rootDir: '/var/lib/windlass',
      socket: { path: '/run/windlass/windlass.sock', mode: 0o660 },
      registry: {
        configPath: '/etc/containerd/certs.d:/etc/docker/certs.d',
        progressTimeoutMs: 300_000,
        recheckAccess: false,
        transfers: { maxConnections: 64, maxConnectionsPerHost: 32, maxConnectionsPerLayer: 4 },
      },
      limits: {
        maxUnpackedSize: 68_719_476_736,
        maxLayerEntries: 4_000_000,
        maxCompressionRatio: 1000,
        maxLayerMetadata: 67_108_864,
      },
      warnings: [],
    })
    expect(Object.isFrozen(config) && Object.isFrozen(config.limits) && Object.isFrozen(config.socket)).toBe(true)
  })

  test('the whole file, in machine units, with a warning for each thing that has no effect', () => {
    const config = load(WHOLE)
    expect(config).toMatchObject({
      rootDir: '/srv/windlass',
      socket: { path: '/run/w.sock', mode: 0o600 },
      runtime: { kind: 'auto', endpoint: '/run/containerd/containerd.sock', failurePolicy: 'Forward' },
      registry: {
        configPath: '/etc/certs',
        registriesConf: '/etc/r.conf',
        progressTimeoutMs: 90_000,
        recheckAccess: true,
        httpProxy: '',
        httpsProxy: 'http://proxy.example:3128',
        noProxy: '10.0.0.0/8,.example',
        authFiles: ['/etc/a.json', '/etc/b.json'],
        credentialProvider: { configPath: '/etc/p.yaml', binDir: '/opt/p' },
        transfers: {
          maxConnections: 9,
          maxConnectionsPerHost: 8,
          maxConnectionsPerLayer: 2,
          maxBytesPerSecond: 50 * 2 ** 20,
        },
        staleTagsFor: ['r.example:5000/team', 'r.example'],
      },
      maxParallelImagePulls: 7,
      keepPartials: true,
      unpackWorkers: 3,
      gc: { highPercent: 70, lowPercent: 60, minAgeMs: 300_000, maxAgeMs: 604_800_000 },
      pins: [
        { images: ['r.example/base/*', '**:keep'], reason: 'the base of all', ttlMs: 259_200_000 },
        { images: ['registry.k8s.io/pause'], reason: '' },
      ],
      limits: { maxUnpackedSize: 2 ** 31, maxLayerEntries: 1000, maxCompressionRatio: 50, maxLayerMetadata: 2 ** 20 },
      metrics: { host: '127.0.0.1', port: 9477 },
      logging: { format: 'text', level: 'debug' },
      prepull: {
        listDir: '/etc/windlass/lists',
        secretsDir: '/etc/windlass/secrets',
        archiveDir: '/srv/images',
        startJitterMs: 300_000,
        maxParallelImagePulls: 1,
        maxBytesPerSecond: 100 * 2 ** 20,
        minFreePercent: 20,
        credentialProvider: { configPath: '/etc/c', binDir: '/opt/bin' },
      },
      file,
    })
    expect(config.warnings.map((warning) => warning.split(':')[0])).toEqual(['ImageList'])
  })

  test('flags beat variables, variables beat the file, an empty variable is none', () => {
    const env = { WINDLASS_ROOT: '/env', WINDLASS_SOCKET: '/env.sock', WINDLASS_UNPACK_WORKERS: '9', WINDLASS_LOG_LEVEL: '' }
    const config = load(WHOLE, { root: '/flag' }, env)
    expect(config).toMatchObject({
      rootDir: '/flag',
      socket: { path: '/env.sock', mode: 0o600 },
      unpackWorkers: 9,
      logging: { level: 'debug' },
    })
  })

  test('a flag may be relative and the socket may carry unix://', () => {
    const config = loadConfig({ flags: { root: 'here', socket: 'unix:///run/x.sock' }, env: {} })
    expect(config).toMatchObject({ rootDir: join(process.cwd(), 'here'), socket: { path: '/run/x.sock' } })
  })

  test.each(['unix:///run/x.sock', 'unix:/run/x.sock', '/run/x.sock'])(
    'the socket %s, from a flag and from a variable',
    (text) => {
      expect(loadConfig({ flags: { socket: text }, env: {} }).socket.path).toBe('/run/x.sock')
      expect(loadConfig({ flags: {}, env: { WINDLASS_SOCKET: text } }).socket.path).toBe('/run/x.sock')
    },
  )

  test('WINDLASS_CONFIG names the file', () => {
    writeFileSync(file, `${HEAD}unpackWorkers: 5\n`)
    expect(loadConfig({ flags: {}, env: { WINDLASS_CONFIG: file } }).unpackWorkers).toBe(5)
  })

  test('the usual file is read where it is there and no other is named', () => {
    writeFileSync(file, `${HEAD}unpackWorkers: 5\n`)
    expect(loadConfig({ flags: {}, env: { WINDLASS_CONFIG: '' }, usual: file })).toMatchObject({ unpackWorkers: 5, file })
    expect(loadConfig({ flags: {}, env: {}, usual: `${file}.none` }).unpackWorkers).toBe(0)
    writeFileSync(`${file}.other`, `${HEAD}unpackWorkers: 6\n`)
    expect(loadConfig({ file: `${file}.other`, flags: {}, env: {}, usual: file }).unpackWorkers).toBe(6)
  })

  test('what is printed is a file that says the same', () => {
    const config = load(WHOLE)
    const again = load(stringify(configDocument(config)))
    expect({ ...again, warnings: [] }).toEqual({ ...config, warnings: [] })
    expect(readFileSync(file, 'utf8')).toContain('maxUnpackedSize: 2Gi')
  })
})

describe('the login of a proxy', () => {
  test('is not printed', () => {
    const config = load(`${HEAD}registry: {httpsProxy: "http://me:canary@p.example:3128"}\n`)
    expect(config.registry.httpsProxy).toBe('http://me:canary@p.example:3128')
    expect(configDocument(config)).toMatchObject({ registry: { httpsProxy: 'http://me:***@p.example:3128/' } })
  })

  test.each([
    'registry: {httpsProxy: "socks5://me:canary@p.example"}\n',
    'registry: {httpsProxy: "http://me:canary@p.example:port"}\n',
    'registry: {httpsProxy: ["http://me:canary@p.example"]}\n',
    'registry:\n\thttpsProxy: http://me:canary@p.example\n',
    'registry: {httpsProxi: "http://me:canary@p.example"}\n',
  ])('is in no refusal: %#', (text) => {
    const failure = refusal(text)
    expect(failure.kind).toBe('bad-config')
    expect(JSON.stringify(failure)).not.toContain('canary')
  })
})

describe('what a refused file still says', () => {
  const salvage = (text: string, flags = {}) => {
    writeFileSync(file, text)
    expect(() => loadConfig({ file, flags: {}, env: {} })).toThrow()
    return salvageConfig({ file, flags, env: {} })
  }
  const RUNTIME = 'runtime: {kind: containerd, endpoint: unix:///run/k3s/containerd/containerd.sock}\n'
  const right = { runtime: { kind: 'containerd', endpoint: '/run/k3s/containerd/containerd.sock' } }

  test.each([
    ['beside a misspelt key', `${HEAD}rootDirr: /x\n${RUNTIME}`],
    ['beside a bad value', `${HEAD}${RUNTIME}unpackWorkers: many\nlimits: {maxUnpackedSize: 64Gb}\n`],
    ['beside a bad value further in', `${HEAD}${RUNTIME.replace('}', ', failurePolicy: Perhaps, more: 1}')}`],
    ['below a wrong head', RUNTIME],
    ['below another version', `apiVersion: windlass.dev/v9\nkind: WindlassConfiguration\n${RUNTIME}`],
    ['before what is no YAML', `${HEAD}${RUNTIME}socket: {path: "/run/w.sock\n\t- x: [\n`],
    ['twice', `${HEAD}${RUNTIME}---\n${HEAD}runtime: {kind: crio}\n`],
  ])('%s', (_where, text) => expect(salvage(text)).toMatchObject(right))

  test.each([
    [']', {}, { kind: 'auto', isUnknown: true }],
    [']', { root: '/r' }, { kind: 'none', isUnknown: true }],
    [']', { runtime: 'none' }, { kind: 'none' }],
    [`${HEAD}x: 1\nruntime: {kind: none}\n`, { root: '/r' }, { kind: 'none' }],
    [`${HEAD}x: 1\nruntime: {kind: containerd}\n`, { root: '/r' }, { kind: 'containerd' }],
  ] as const)('of %j with %j it knows whether a runtime was named', (text, flags, runtime) => {
    expect(salvage(text, flags).runtime).toEqual({ ...runtime, failurePolicy: 'Forward' })
  })

  test('flags beat it, and what makes no sense at all is nothing', () => {
    const flags = { runtimeEndpoint: '/run/other.sock' }
    expect(salvage(`${HEAD}x: 1\n${RUNTIME}`, flags).runtime.endpoint).toBe('/run/other.sock')
    for (const text of ['[', '- a\n- b\n', 'x', '\u0000', `${HEAD}pins: [{images: [debian]}]\n`, '&a [*a, *b]'])
      expect(salvage(text).runtime).toEqual({ kind: 'auto', failurePolicy: 'Forward', isUnknown: true })
    expect(salvageConfig({ file: '/not/there', flags: {}, env: {} }).runtime.kind).toBe('auto')
  })
})

describe('what is no file of ours', () => {
  const place = mkdtempDisposableSync(join(tmpdir(), 'windlass-config-'))
  afterAll(() => place.remove())
  const at = (name: string): string => join(place.path, name)

  test.each([
    ['a FIFO', (path: string) => execFileSync('mkfifo', [path]), 'it is a FIFO, not a regular file'],
    ['a directory', (path: string) => mkdirSync(path), 'it is a directory, not a regular file'],
    ['a device', (path: string) => symlinkSync('/dev/zero', path), 'it is a device, not a regular file'],
    ['a link', (path: string) => symlinkSync('/gone', path), 'it is a symbolic link to /gone, and nothing is there'],
    ['a novel', (path: string) => writeFileSync(path, '#'.repeat(65_537)), 'it is larger than 65536 bytes'],
    ['noise', (path: string) => writeFileSync(path, Buffer.of(0x80)), 'it is not UTF-8 text'],
  ])('%s is refused, named or in the usual place, and what is left are the defaults', (name, make, reason) => {
    const path = at(name.replace(' ', '-'))
    make(path)
    for (const sources of [{ file: path }, { usual: path }]) {
      const failure = failureFrom(() => loadConfig({ ...sources, flags: {}, env: {} }))
      expect(failure).toEqual({ kind: 'bad-config', file: path, reason })
      expect(salvageConfig({ ...sources, flags: {}, env: {} })).toMatchObject({ file: path, unpackWorkers: 0 })
    }
  })

  test.each([
    ['keys', (i: number) => `k${i}:\n`],
    ['keys in braces', (i: number) => `${i === 0 ? '{' : ''}k${i},`],
    ['documents', () => '---\n'],
    ['brackets', () => '['],
    ['lists', () => '- '],
    ['aliases', (i: number) => (i === 0 ? '- &a x\n' : '- *a\n')],
  ])('as many %s as fit are refused at once', (_of, each) => {
    let text = ''
    for (let i = 0; text.length < 65_000; i++) text += each(i)
    writeFileSync(at('many'), text)
    const before = process.cpuUsage()
    expect(failureFrom(() => loadConfig({ file: at('many'), flags: {}, env: {} })).kind).toBe('bad-config')
    salvageConfig({ file: at('many'), flags: {}, env: {} })
    // Each with each took five to eight seconds, twice.
    expect(process.cpuUsage(before).user / 1e6).toBeLessThan(4)
  })

  test.each([
    ['limits:\n  maxLayerEntries: 5\n  "maxLayerEntries": 6\n', 5],
    ['pins:\n- {images: [a], images: [b]}\n', 4],
    ['logging: {level: info}\nlogging: {level: info, level: warn}\n', 4],
  ])('a key that is there twice is told where it stands: %j', (text, line) => {
    expect(refusal(text)).toMatchObject({ line, reason: expect.stringMatching(/^this key is there already, at column/) })
  })
})

describe('what is refused, with line and field', () => {
  test.each([
    ['an unknown key', 'rootDirr: /x\n', 3, 'rootDirr', 'unknown key; perhaps rootDir is meant'],
    ['an unknown key further in', 'limits:\n  maxLayerEntries: 5\n  maxSize: 1Gi\n', 5, 'limits.maxSize', 'unknown key'],
    [
      'a misspelt key in a list',
      'pins:\n- {images: ["**"], raeson: x}\n',
      4,
      'pins.0.raeson',
      'unknown key; perhaps reason is meant',
    ],
    [
      'a key in the wrong case',
      'runtime: {failurepolicy: Fail}\n',
      3,
      'runtime.failurepolicy',
      'unknown key; perhaps failurePolicy is meant',
    ],
    ['a relative path', 'unpackWorkers: 1\nrootDir: var/lib\n', 4, 'rootDir', 'want an absolute path'],
    [
      'a bad quantity',
      'limits:\n  maxUnpackedSize: 64Gb\n',
      4,
      'limits.maxUnpackedSize',
      'want a quantity above zero such as 64Gi or 100M',
    ],
    ['a bare mode', 'socket:\n  mode: 0660\n', 4, 'socket.mode', 'want the mode as a quoted octal string such as "0660"'],
    [
      'a duration without unit',
      'registry:\n  progressTimeout: 300\n',
      4,
      'registry.progressTimeout',
      'want a duration such as 5m',
    ],
    [
      'a low watermark above the high one',
      'gc: {highThresholdPercent: 50, lowThresholdPercent: 60}\n',
      3,
      'gc',
      'want a lowThresholdPercent of at most highThresholdPercent',
    ],
    [
      'a pin of no whole name',
      'pins:\n- images: [debian]\n',
      4,
      'pins.0.images.0',
      'want a whole name such as docker.io/library/debian:* or registry.example/base/**',
    ],
    ['another runtime', 'runtime:\n  kind: docker\n', 4, 'runtime.kind', 'want auto, containerd, crio or none'],
    ['a durability of its own kind', 'durability: lazy\n', 3, 'durability', 'want Sync or Lazy'],
    [
      'a key given twice',
      'unpackWorkers: 1\nunpackWorkers: 2\n',
      4,
      undefined,
      'this key is there already, at column 1 of "unpackWorkers: 2"',
    ],
    [
      'a bracket left open',
      'limits: [1\nunpackWorkers: 2\n',
      4,
      undefined,
      'the indentation is not that of its neighbours, or a bracket above is not closed, at column 1 of "unpackWorkers: 2"',
    ],
    ['a wrong choice', 'logging:\n\n  level: loud\n', 5, 'logging.level', expect.stringContaining('want one of')],
    ['too many workers', 'unpackWorkers: 65\n', 3, 'unpackWorkers', expect.stringContaining('64')],
    [
      'a long socket path',
      `socket:\n  path: /${'x'.repeat(107)}\n`,
      4,
      'socket.path',
      'a unix socket path has at most 107 bytes',
    ],
    ['a second configuration', `---\n${HEAD}`, 5, 'kind', 'a file holds one WindlassConfiguration'],
  ])('%s', (_name, text, line, field, reason) => {
    expect(refusal(text)).toEqual({ kind: 'bad-config', file, line, ...(field === undefined ? {} : { field }), reason })
  })

  test('everything that is wrong is told, in the order of the file', () => {
    const text = `durability: lazy\nsocket: {mode: 660, group: x}\nunpackWorkers: -1\n---\n${HEAD}---\napiVersion: v1\nkind: Pod\n`
    const failure = refusal(text)
    if (failure.kind !== 'bad-config') throw new Error(failure.kind)
    expect([failure, ...(failure.more ?? [])].map(({ line, field }) => `${line} ${field}`)).toEqual([
      '3 durability',
      '4 socket.mode',
      '4 socket.group',
      '5 unpackWorkers',
      '8 kind',
      '10 apiVersion',
      '11 kind',
    ])
  })

  test('the text names file, line, field and what to do', () => {
    expect(inWords(refusal('durability: lazy\n'))).toBe(`${file}:3: durability: want Sync or Lazy`)
  })

  test.each([
    ['another kind', 'apiVersion: windlass.dev/v1alpha1\nkind: Pod\n', 'want WindlassConfiguration or ImageList'],
    ['another version', 'apiVersion: v1\nkind: WindlassConfiguration\n', 'want windlass.dev/v1alpha1'],
    ['no document', '# nothing\n', 'there is no WindlassConfiguration document in it'],
    ['a list', '- 1\n', 'want a mapping with apiVersion and kind'],
    ['unresolved tags', `${HEAD}rootDir: !env ROOT\n`, expect.stringContaining('Unresolved tag')],
  ])('%s', (_name, text, reason) => {
    expect(failureFrom(() => load(text))).toMatchObject({ kind: 'bad-config', reason })
  })

  test('a missing file, a wrong variable and a wrong flag', () => {
    const gone = join(temporary.path, 'gone.yaml')
    expect(failureFrom(() => loadConfig({ file: gone, flags: {}, env: {} }))).toMatchObject({
      file: gone,
      reason: 'there is no such file; windlass config > FILE makes one',
    })
    const env = { WINDLASS_UNPACK_WORKERS: 'many' }
    expect(failureFrom(() => loadConfig({ flags: {}, env }))).toEqual({
      kind: 'invalid-argument',
      what: 'WINDLASS_UNPACK_WORKERS "many"',
      reason: 'want a whole number',
    })
    for (const sources of [
      { flags: { socket: 'tcp://h:1' }, env: {} },
      { flags: {}, env: { WINDLASS_SOCKET: 'tcp://h:1' } },
    ])
      expect(failureFrom(() => loadConfig(sources))).toMatchObject({
        kind: 'invalid-argument',
        reason: 'want a unix socket: /path or unix:///path',
      })
    const long = `/${'s'.repeat(120)}`
    expect(failureFrom(() => loadConfig({ flags: { socket: long }, env: {} }))).toMatchObject({
      what: `--socket ${JSON.stringify(long)}`,
    })
  })
})
