/** What doctor finds of those around it: the daemon, kubelet, the runtime, registries. */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { examine } from '../../src/doctor/doctor.ts'
import { kubeletFindings } from '../../src/doctor/kubelet.ts'
import { registryFindings } from '../../src/doctor/registries.ts'
import { factFindings, idFindings, placeFindings, runtimeFindings, storageConfFindings } from '../../src/doctor/runtime.ts'
import { ownPulls, socketFindings } from '../../src/doctor/socket.ts'
import { listenUnix } from '../../src/rpc/socket.ts'
import { startContainerd } from '../integration/containerd.ts'
import { lacking } from '../integration/lacking.ts'
import { startDaemon, testServices } from '../rpc/daemon.ts'

const temp = () => mkdtempDisposable(join(tmpdir(), 'windlass-doctor-'))

describe('the socket', () => {
  it('is answered by a daemon, and not open to everybody', async ({ signal }) => {
    await using daemon = await startDaemon(testServices().services)
    expect(await socketFindings(daemon.path, { signal })).toEqual([
      { level: 'ok', about: 'socket', text: expect.stringContaining('windlass 1.2.3 answers on') },
    ])
    chmodSync(daemon.path, 0o666)
    expect((await socketFindings(daemon.path, { signal }))[0]).toMatchObject({
      level: 'warn',
      text: expect.stringContaining('any user can pull'),
    })
  })

  it('is not there, is no socket, or is not answered as kubelet asks', async ({ signal }) => {
    await using dir = await temp()
    const at = (name: string) => join(dir.path, name)
    expect((await socketFindings(at('gone'), { signal }))[0]).toMatchObject({
      level: 'warn',
      text: expect.stringContaining('systemctl start windlass.socket'),
    })
    writeFileSync(at('file'), '')
    expect(await socketFindings(at('file'), { signal })).toMatchObject([
      { level: 'fail', text: expect.stringContaining('is not a socket') },
    ])
    const deaf = createServer((socket) => socket.destroy())
    await listenUnix(deaf, at('deaf'), 0o600, { signal })
    expect((await socketFindings(at('deaf'), { signal }))[0]).toMatchObject({
      level: 'fail',
      text: expect.stringContaining('kubelet would not start'),
    })
    deaf.close()
  })

  it('leads to the runtime where pulls are its own', () => {
    const runtime = { kind: 'containerd', socket: '/s', version: '', obstacles: [], missing: '', down: '' }
    const off = { on: false, reason: '', sinceMs: 0 }
    expect(ownPulls({ runtime, passthrough: off })).toEqual([])
    expect(ownPulls({ runtime: null, passthrough: null })).toEqual([])
    expect(ownPulls({ runtime, passthrough: { ...off, on: true, reason: 'a trial' } })[0]?.text).toContain('a trial')
    expect(ownPulls({ runtime: { ...runtime, down: 'it is away' }, passthrough: { ...off, on: true } })[0]).toEqual({
      level: 'fail',
      about: 'socket',
      text: 'nothing can be pulled: it is away',
    })
    expect(ownPulls({ runtime: { ...runtime, missing: 'it does not answer' }, passthrough: off })[0]).toMatchObject({
      level: 'warn',
      text: expect.stringContaining('it does not answer'),
    })
  })
})

describe('kubelet', () => {
  const socket = '/run/windlass/windlass.sock'
  const places = (dir: string, args: readonly string[] | undefined, config = '') => {
    const [proc, file] = [join(dir, 'proc'), join(dir, 'config.yaml')]
    mkdirSync(join(proc, '42'), { recursive: true })
    writeFileSync(join(proc, '42', 'cmdline'), args === undefined ? '/bin/sleep\0' : ['/usr/bin/kubelet', ...args, ''].join('\0'))
    if (config !== '') writeFileSync(file, config)
    return { proc, config: file }
  }

  it.each<[string, string[] | undefined, string, string[]]>([
    ['no kubelet', undefined, '', []],
    ['no endpoint', ['--v=2'], 'kind: KubeletConfiguration\n', ['warn']],
    ['a flag', [`--image-service-endpoint=unix://${socket}`], '', ['ok']],
    ['a flag in two words', ['--image-service-endpoint', `unix://${socket}`], '', ['ok']],
    ['the last of two flags', ['--image-service-endpoint=/a', `--image-service-endpoint=unix://${socket}`], '', ['ok']],
    ['the file', [], `imageServiceEndpoint: "unix://${socket}" # ours\n`, ['ok']],
    ['the file alone', undefined, `imageServiceEndpoint: unix://${socket}\n`, ['ok']],
    ['a flag over the file', ['--image-service-endpoint=unix:///other'], `imageServiceEndpoint: unix://${socket}\n`, ['warn']],
    ['a file that is none', [], ': {', ['warn']],
  ])('%s', async (_, args, config, levels) => {
    await using dir = await temp()
    expect(kubeletFindings(socket, places(dir.path, args, config)).map(({ level }) => level)).toEqual(levels)
  })
})

describe('registries', () => {
  it('are told one by one, and what is wrong with a file', async () => {
    await using dir = await temp()
    const put = (name: string, text: string) => {
      mkdirSync(join(dir.path, name))
      writeFileSync(join(dir.path, name, 'hosts.toml'), text)
    }
    put('r.example', 'server = "https://r.example"\n[host."https://mirror.example"]\n')
    put('plain.example', 'server = "http://plain.example"\n[host."https://plain.example/cache"]\n')
    put('127.0.0.1:5000', '')
    put('broken.example_5000_', 'server = [')
    symlinkSync(join(dir.path, 'gone'), join(dir.path, 'dangling'))
    const findings = await registryFindings({ hostsDir: `${dir.path}:/gone/from/here` })
    expect(findings).toHaveLength(4)
    expect(findings.filter(({ level }) => level === 'ok').map(({ text }) => text)).toEqual(
      expect.arrayContaining([
        'r.example: https://mirror.example, then https://r.example',
        'plain.example: https://plain.example/cache/v2, then http://plain.example',
        '127.0.0.1:5000: https://127.0.0.1:5000 or http://127.0.0.1:5000',
      ]),
    )
    expect(findings).toContainEqual({ level: 'fail', about: 'registries', text: expect.stringContaining('broken.example_5000_') })
    expect(await registryFindings({ hostsDir: '/gone/from/here' })).toMatchObject([{ level: 'ok' }])
  })

  it('are told with keys of hosts.toml that nobody knows', async () => {
    await using dir = await temp()
    mkdirSync(join(dir.path, 'r.example'))
    const file = join(dir.path, 'r.example/hosts.toml')
    const lines = [
      'sever = "https://r.example"',
      '[host."https://user:secret@m.example"]',
      '  capabilties = ["pull"]',
      '  color = "blue"',
      '  [host."https://user:secret@m.example".headers]',
      '    X-Site = ["north"]',
      '[hosts."https://n.example"]',
    ]
    writeFileSync(file, lines.join('\n'))
    const unknown = (line: number, key: string, meant?: string) => ({
      level: 'warn',
      about: 'registries',
      text: `${file}:${line}: ${key}: unknown key, passed over here and by containerd${meant === undefined ? '' : `; perhaps ${meant} is meant`}`,
    })
    expect((await registryFindings({ hostsDir: dir.path })).slice(1)).toEqual([
      unknown(1, 'sever', 'server'),
      unknown(7, 'hosts', 'host'),
      unknown(3, 'host.https://***@m.example.capabilties', 'capabilities'),
      unknown(4, 'host.https://***@m.example.color'),
      unknown(5, 'host.https://***@m.example.headers', 'header'),
    ])
  })

  it('tells what registries.conf says, or what is wrong with it', async () => {
    await using dir = await temp()
    const registriesConf = join(dir.path, 'registries.conf')
    writeFileSync(registriesConf, '[[registry]]\nlocation = "r.example"\n[[registry.mirror]]\nlocation = "m.example"\n')
    const text = `registries go by ${registriesConf}: r.example: m.example, then r.example`
    expect(await registryFindings({ registriesConf })).toEqual([{ level: 'ok', about: 'registries', text }])
    const short = [
      'unqualified-search-registries = ["docker.io", "q.example"]',
      '[aliases]',
      'debian = "docker.io/library/debian"',
      'fedora = "f.example/fedora"',
    ]
    writeFileSync(registriesConf, `${short.join('\n')}\n`)
    expect((await registryFindings({ registriesConf }))[1]).toEqual({
      level: 'warn',
      about: 'registries',
      text: `CRI-O takes short names by ${registriesConf} (any for q.example, fedora for f.example/fedora), and windlass takes each from docker.io: write whole names in pods`,
    })
    // What CRI-O would choke on is no reason to fail a pull here.
    writeFileSync(registriesConf, 'unqualified-search-registries = "docker.io"\naliases = 1\n')
    expect(await registryFindings({ registriesConf })).toMatchObject([{ level: 'ok' }])
    writeFileSync(registriesConf, '[[registry]]\n\nblocked = 1\n')
    expect(await registryFindings({ registriesConf })).toEqual([
      { level: 'fail', about: 'registries', text: expect.stringContaining(`${registriesConf}:3: registry.0.blocked`) },
    ])
  })

  it('tells the mirrors in containerd’s own configuration', async () => {
    const mirrors = { 'docker.io': ['https://m.example'], '*': ['ftp://x'] }
    const findings = await registryFindings({ inline: { file: '/c.toml', mirrors, tls: {}, headers: {} } })
    expect(findings).toEqual([
      { level: 'ok', about: 'registries', text: 'docker.io, by /c.toml: https://m.example, then https://registry-1.docker.io' },
      { level: 'fail', about: 'registries', text: expect.stringContaining('"ftp://x" is no http or https URL') },
    ])
  })
})

describe('the runtime', () => {
  it('has ids of its kind', () => {
    const hex = 'a'.repeat(64)
    expect(idFindings('containerd', [`sha256:${hex}`])).toEqual([])
    expect(idFindings('crio', [hex])).toEqual([])
    expect(idFindings('containerd', [`sha256:${hex}`, hex])).toMatchObject([
      { level: 'fail', text: expect.stringContaining(hex) },
    ])
    expect(idFindings('crio', [`sha256:${hex}`])).toMatchObject([{ level: 'fail' }])
  })

  it('keeps images where we can see them', async () => {
    expect(placeFindings('containerd', '/gone/from/here')).toMatchObject([{ level: 'fail' }])
    await using dir = await temp()
    mkdirSync(join(dir.path, 'snapshots'))
    expect(placeFindings('containerd', dir.path)).toContainEqual(
      expect.objectContaining({ text: expect.stringContaining('one mount') }),
    )
  })

  it('reads our store where its storage.conf names it', async () => {
    await using dir = await temp()
    const file = join(dir.path, 'storage.conf')
    const judge = (text: string) => {
      writeFileSync(file, text)
      return storageConfFindings('/var/lib/windlass', [file])[0]
    }
    expect(storageConfFindings('/var/lib/windlass', [file])[0]).toMatchObject({ level: 'fail' })
    expect(judge('[storage.options]\nadditionalimagestores = ["/a", "/var/lib/windlass/"]\n')).toMatchObject({ level: 'ok' })
    expect(judge('[storage.options]\n# additionalimagestores = ["/var/lib/windlass"]\n')).toMatchObject({
      level: 'fail',
      text: expect.stringContaining('add additionalimagestores = ["/var/lib/windlass"]'),
    })
    expect(judge('[storage.options]\nadditionalimagestores = "/var/lib/windlass"\n')).toMatchObject({ level: 'fail' })
  })

  it.each([
    ['containerd', '1.6.20~ds1', 'warn'],
    ['containerd', 'v1.5.0', 'warn'],
    ['containerd', 'v1.7.0', 'ok'],
    ['containerd', '2.1.9', 'ok'],
    ['containerd', 'nightly', 'ok'],
    ['crio', '1.6.0', 'ok'],
  ] as const)('%s %s tells kubelet of pins, or does not: %s', (kind, version, level) => {
    const facts = { name: kind, version, sandboxImage: 'r.example/pause:1', otherSnapshotters: new Map(), obstacles: [] }
    const findings = factFindings({ kind, socket: '/s' }, facts)
    const text =
      level === 'ok' ? 'the sandbox image r.example/pause:1 is pinned' : '--pod-infra-container-image=r.example/pause:1,'
    expect(findings.at(-1)).toEqual({ level, about: 'runtime', text: expect.stringContaining(text) })
  })

  it('does not answer, and none is meant', async ({ signal }) => {
    await using dir = await temp()
    const settings = {
      rootDir: dir.path,
      socket: { path: join(dir.path, 's') },
      registry: { configPath: '/gone', registriesConf: '/gone' },
    }
    const runtime = { kind: 'containerd', endpoint: join(dir.path, 'containerd.sock') } as const
    expect((await runtimeFindings({ ...settings, runtime }, { signal })).findings).toMatchObject([
      { level: 'fail', text: expect.stringContaining('see that it runs and what it logs, or correct runtime.endpoint') },
    ])
    expect((await runtimeFindings({ ...settings, runtime: { kind: 'none' } }, { signal })).findings).toMatchObject([
      { level: 'ok' },
    ])
  })

  it.skipIf(lacking('root', 'containerd'))('is containerd, as it is: everything is well', async ({ signal }) => {
    await using dir = await temp()
    await using containerd = await startContainerd(join(dir.path, 'containerd'), { signal })
    const runtime = { kind: 'auto', endpoint: containerd.socket } as const
    const settings = {
      rootDir: dir.path,
      socket: { path: join(dir.path, 's') },
      registry: { configPath: '/gone', registriesConf: '/gone' },
      runtime,
    }
    const { findings } = await runtimeFindings(settings, { signal })
    expect(findings.filter(({ level }) => level === 'fail')).toEqual([])
    expect(findings[0]).toMatchObject({
      level: 'ok',
      text: expect.stringMatching(/^containerd \S+ answers on .*; image ids are sha256:/),
    })
    expect(findings).toContainEqual(expect.objectContaining({ text: expect.stringContaining('one mount') }))
  })
})

describe.skipIf(lacking('root'))('all of it', () => {
  it('is told, though one part cannot be found out', { timeout: 60_000 }, async ({ signal }) => {
    await using dir = await temp()
    const socket = { path: join(dir.path, 's') }
    const runtime = { kind: 'containerd', endpoint: socket.path } as const
    const findings = await examine(
      { rootDir: join(dir.path, 'root'), socket, registry: { configPath: '/gone', registriesConf: '/gone' }, runtime },
      { signal },
    )
    expect(findings.filter(({ level }) => level === 'fail')).toEqual([
      { level: 'fail', about: 'runtime', text: expect.stringContaining('is the socket of Windlass itself') },
    ])
    const about = new Set(findings.map((each) => each.about))
    for (const part of ['rights', 'kernel', 'confinement', 'disk', 'socket', 'registries', 'trust']) expect(about).toContain(part)
  })
})
