/** Where the containerd behind a socket has its configuration: its own process says, for k3s and others keep it in places of their own. */
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { CONFIG_FILE, lenient, parsedFile } from './containerd-config.ts'

const SOCKET = '/run/containerd/containerd.sock'

const address = lenient(z.object({ address: lenient(z.string()) }))
const schema = z.object({
  grpc: address,
  // From version 4 of the file on.
  plugins: lenient(z.object({ 'io.containerd.server.v1.grpc': address })),
})

/** The file of the process that serves `socket`; the usual one where none is seen that does. `proc` is where processes are shown. */
export function configFileOf(socket: string, proc = '/proc'): string {
  const wanted = resolved(socket)
  return commands(proc).find((command) => resolved(socketOf(command)) === wanted)?.file ?? CONFIG_FILE
}

/** The process that serves `socket`; undefined where none is seen that does. */
export function pidOf(socket: string, proc = '/proc'): number | undefined {
  const wanted = resolved(socket)
  return commands(proc).find((command) => resolved(socketOf(command)) === wanted)?.pid
}

type Command = { readonly pid: number; readonly args: readonly string[]; readonly file: string }

function commands(proc: string): readonly Command[] {
  return readdirSync(proc)
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const args = readFileSync(join(proc, pid, 'cmdline'), 'utf8').split('\0')
        if (!isContainerd(readFileSync(join(proc, pid, 'comm'), 'utf8').trim(), args)) return []
        const file = flag(args, '--config', '-c') ?? CONFIG_FILE
        return [
          { pid: Number(pid), args, file: file.startsWith('/') ? file : resolve(readlinkSync(join(proc, pid, 'cwd')), file) },
        ]
      } catch {
        // It has ended, or is not for us to see.
        return []
      }
    })
}

/** By its own name, not a shim's; or started by the dynamic loader, whose name it then has. */
const isContainerd = (comm: string, args: readonly string[]): boolean =>
  comm === 'containerd' || (comm.startsWith('ld-linux') && args.some((arg) => basename(arg) === 'containerd'))

function socketOf({ args, file }: Command): string {
  const said = flag(args, '--address', '-a')
  if (said !== undefined) return said
  const { grpc, plugins } = schema.parse(parsedFile(file) ?? {})
  return plugins?.['io.containerd.server.v1.grpc']?.address ?? grpc?.address ?? SOCKET
}

/** A flag's value in the forms that Go programs take: `--name value`, `--name=value`. */
function flag(args: readonly string[], ...names: readonly string[]): string | undefined {
  for (const [at, arg] of args.entries()) {
    const [name = '', ...value] = arg.split('=')
    if (names.includes(name)) return value.length > 0 ? value.join('=') : args[at + 1]
  }
  return undefined
}

/** Through symlinks on the way, of which /var/run is one; the socket itself need not be there. */
export function resolved(socket: string): string {
  try {
    return join(realpathSync(dirname(socket)), basename(socket))
  } catch {
    return socket
  }
}
