import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { configFileOf } from '../../src/runtime/containerd-process.ts'

type Process = { readonly pid: number; readonly comm: string; readonly args: readonly string[]; readonly cwd?: string }

async function place() {
  const dir = await mkdtempDisposable(join(tmpdir(), 'windlass-proc-'))
  onTestFinished(() => dir.remove())
  const at = (name: string): string => join(dir.path, name)
  const proc = at('proc')
  mkdirSync(join(proc, 'self'), { recursive: true })
  /** As proc(5) shows processes. */
  const running = ({ pid, comm, args, cwd = '/' }: Process): void => {
    const own = join(proc, `${pid}`)
    mkdirSync(own)
    writeFileSync(join(own, 'comm'), `${comm}\n`)
    writeFileSync(join(own, 'cmdline'), args.map((arg) => `${arg}\0`).join(''))
    symlinkSync(cwd, join(own, 'cwd'))
  }
  const file = (name: string, content: string): string => {
    writeFileSync(at(name), content)
    return at(name)
  }
  return { at, file, running, configOf: (socket: string) => configFileOf(socket, proc) }
}

it('is the usual file where nobody is seen', async () => {
  const { configOf, running } = await place()
  running({ pid: 2, comm: 'containerd-shim', args: ['containerd-shim', '--config', '/shim.toml', '--address', '/run/a.sock'] })
  expect(configOf('/run/a.sock')).toBe('/etc/containerd/config.toml')
})

it('is the one of the process that serves the socket, however that is told', async () => {
  const { configOf, file, running } = await place()
  const grpc = file('grpc.toml', 'version = 2\n[grpc]\n  address = "/run/grpc.sock"\n')
  const server = file('server.toml', "version = 4\n[plugins.'io.containerd.server.v1.grpc']\n  address = '/run/server.sock'\n")
  running({ pid: 10, comm: 'containerd', args: ['containerd', '-c', grpc] })
  running({ pid: 11, comm: 'containerd', args: ['/usr/bin/containerd', `--config=${server}`, '--log-level', 'debug'] })
  running({ pid: 12, comm: 'containerd', args: ['containerd', '--address', '/run/flag.sock', '--config', '/flag.toml'] })
  running({
    pid: 14,
    comm: 'ld-linux-x86-64',
    args: ['/lib64/ld-linux-x86-64.so.2', '/opt/containerd', '-a', '/run/ld.sock', '-c', '/ld.toml'],
  })
  running({ pid: 13, comm: 'containerd', args: ['containerd', '-c', '/absent.toml'] })
  expect(configOf('/run/grpc.sock')).toBe(grpc)
  expect(configOf('/run/server.sock')).toBe(server)
  expect(configOf('/run/flag.sock')).toBe('/flag.toml')
  expect(configOf('/run/ld.sock')).toBe('/ld.toml')
  expect(configOf('/run/containerd/containerd.sock')).toBe('/absent.toml')
})

it('is found from where the process stands, and by any path to its socket', async () => {
  const { at, configOf, file, running } = await place()
  mkdirSync(at('run'))
  symlinkSync('run', at('var-run'))
  file('own.toml', `[grpc]\naddress = "${at('run/c.sock')}"\n`)
  running({ pid: 10, comm: 'containerd', args: ['containerd', '-c', 'own.toml'], cwd: at('.') })
  expect(configOf(at('var-run/c.sock'))).toBe(at('own.toml'))
})
