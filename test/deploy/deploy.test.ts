/** What deploy/ and docs/operate.md tell people to do: the units are sound, the files are ours to read, and every command is there. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse as parseToml } from 'smol-toml'
import { describe, expect, it } from 'vitest'
import { parse as parseYaml } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { depsWith, windlass } from '../cli/terminal.ts'
import { lacking } from '../integration/lacking.ts'
import { nodeFlags } from '../integration/windlass.ts'

const top = join(import.meta.dirname, '..', '..')
const at = (path: string): string => join(top, 'deploy', path)
const text = (path: string): string => readFileSync(at(path), 'utf8')

/** reliability: what `systemd-analyze security` may say at most, in tenths. */
const EXPOSURE = 45

describe.skipIf(lacking('systemd-analyze'))('the units', () => {
  const analyze = (args: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' })
    return { status, said: `${stdout}${stderr}` }
  }

  /** Copies with the program where it is in this checkout. */
  const copied = (service: string) => {
    const dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-units-'))
    const [socketUnit, serviceUnit] = [join(dir.path, 'windlass.socket'), join(dir.path, 'windlass.service')]
    writeFileSync(socketUnit, text('systemd/windlass.socket'))
    writeFileSync(
      serviceUnit,
      service.replaceAll('/opt/windlass/bin/node', process.execPath).replaceAll('/opt/windlass/', `${top}/`),
    )
    return { units: [socketUnit, serviceUnit], [Symbol.dispose]: () => dir.remove() }
  }

  it('are what systemd understands', () => {
    using sound = copied(text('systemd/windlass.service'))
    expect(analyze(['verify', '--man=no', '--recursive-errors=one', ...sound.units])).toEqual({ status: 0, said: '' })
    // It would say so otherwise.
    using broken = copied(text('systemd/windlass.service').replace('ProtectSystem=', 'ProtectSistem='))
    expect(analyze(['verify', '--man=no', '--recursive-errors=one', ...broken.units]).said).toContain('ProtectSistem')
  })

  it('leave the service exposed to 4.5 at most, as systemd counts', () => {
    const judge = (service: string) => analyze(['security', '--offline=true', `--threshold=${EXPOSURE}`, '--no-pager', service])
    const { status, said } = judge(at('systemd/windlass.service'))
    expect(said).toMatch(/Overall exposure level for windlass\.service: \d/)
    expect(status).toBe(0)
    using open = copied('[Service]\nExecStart=/opt/windlass/bin/node\n')
    expect(judge(open.units[1] ?? '').status).not.toBe(0)
  })
})

describe('the service', () => {
  const service = text('systemd/windlass.service')

  it('is started as the image is', () => {
    const [, ...words] = /^ExecStart=(\S+) (--\S+) (\S+) /m.exec(service) ?? []
    expect([words[0], words.at(-1)]).toEqual(['/opt/windlass/bin/node', '/opt/windlass/lib/main.js'])
    expect(readFileSync(join(top, 'Dockerfile'), 'utf8')).toContain(`ENTRYPOINT [${words.map((word) => `"${word}"`).join(', ')}]`)
  })

  it('never has its socket taken away by itself', () => {
    // A RuntimeDirectory= goes with the service, and the socket of its socket unit with it.
    expect(service).not.toMatch(/^RuntimeDirectory=/m)
    expect(service).toMatch(/^StartLimitIntervalSec=0$/m)
  })

  it('listens where the rest expects it', () => {
    const socket = /^ListenStream=(.+)$/m.exec(text('systemd/windlass.socket'))?.[1]
    expect(socket).toBe(loadConfig({ flags: {}, env: {} }).socket.path)
    expect(text('kubelet/kubelet.env')).toContain(`"--image-service-endpoint=unix://${socket}"`)
    expect(parseYaml(text('kubelet/windlass.yaml'))).toMatchObject({ imageServiceEndpoint: `unix://${socket}` })
  })
})

describe('example configurations', () => {
  it.each(['containerd', 'crio'] as const)('for %s are what the daemon takes', (kind) => {
    const config = loadConfig({ file: at(`${kind}/windlass.yaml`), flags: {}, env: {} })
    expect(config).toMatchObject({ runtime: { kind }, rootDir: '/var/lib/windlass', warnings: [] })
    expect(config.metrics?.host).toBe('127.0.0.1')
  })

  it('of the runtimes are TOML, and name what Windlass goes by', () => {
    const { rootDir, registry } = loadConfig({ file: at('crio/windlass.yaml'), flags: {}, env: {} })
    expect(parseToml(text('crio/storage.conf'))).toEqual({ storage: { options: { additionalimagestores: [rootDir] } } })
    expect(parseToml(text('crio/pinned.conf'))).toEqual({ crio: { image: { pinned_images: [expect.any(String)] } } })
    expect(parseToml(text('containerd/config.toml'))).toMatchObject({
      plugins: { 'io.containerd.grpc.v1.cri': { registry: { config_path: registry.configPath } } },
    })
  })
})

describe('the guide', () => {
  const guide = readFileSync(join(top, 'docs/operate.md'), 'utf8')
  const code = [...guide.matchAll(/```\n([\s\S]*?)```|`([^`\n]+)`/g)].map(([, block, inline]) => block ?? inline ?? '').join('\n')

  it('names commands and options that are there', async () => {
    // `windlass` as a command: at the start of a line, after a prompt's `&&`, or by its path.
    const lines = [...code.matchAll(/(?:^|&& )(?:\/opt\/windlass\/)?windlass ([a-z]+)((?: [^#\n&`]*)?)/gm)]
    expect(lines.length).toBeGreaterThan(4)
    for (const [, command = '', rest = ''] of lines) {
      const help = await windlass([command, '--help'], depsWith())
      expect(help, command).toMatchObject({ code: 0 })
      for (const [option] of rest.matchAll(/(?<= )--?[a-z-]+/g))
        expect(help.stdout).toMatch(new RegExp(`(?<![\\w-])${option}\\b`))
    }
  })

  it('names files that are there', () => {
    const files = [...code.matchAll(/\/opt\/windlass\/(deploy\/[\w./-]+[\w*])/g)].map(([, path]) => path ?? '')
    const links = [...guide.matchAll(/\]\(([\w./-]+)\)/g)].map(([, path]) => join('docs', path ?? ''))
    expect(files.length).toBeGreaterThan(3)
    expect(links.length).toBeGreaterThan(3)
    for (const path of [...files, ...links]) expect(existsSync(join(top, path.replace(/\/[\w.]*\*$/, ''))), path).toBe(true)
  })
})

it('Node is told the same wherever the daemon is started, so that its memory is what the tests measure', () => {
  const flags = nodeFlags.join(' ')
  const read = (path: string): string => readFileSync(join(top, path), 'utf8')
  expect(read('windlass')).toContain(`exec "$WINDLASS_NODE" ${flags} "$top/src/main.ts"`)
  expect(text('systemd/windlass.service')).toContain(`/node ${flags} /opt/windlass/lib/main.js serve`)
  expect(read('Dockerfile')).toContain(`/node", ${nodeFlags.map((flag) => `"${flag}"`).join(', ')}, "/opt/windlass/lib/main.js"]`)
  expect(read('bin/windlass').split(`${flags} "$top/lib/main.js"`)).toHaveLength(3)
  expect(read('demo/daemon.ts')).toContain(`[${nodeFlags.map((flag) => `'${flag}'`).join(', ')}]`)
})
