/** What this process may do, and how to get there without being root. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'

/** Bits of capabilities(7). */
const CAP = { CHOWN: 0, FOWNER: 3, MKNOD: 27, SYS_ADMIN: 21 } as const

const effective = (): bigint => BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`)
const has = (capability: number): boolean => ((effective() >> BigInt(capability)) & 1n) === 1n

/** Unpacking sets owners and modes and makes whiteout devices. */
export const mayUnpack = (): boolean => has(CAP.CHOWN) && has(CAP.FOWNER) && has(CAP.MKNOD)
export const mayMount = (): boolean => has(CAP.SYS_ADMIN)
/** In a user namespace root is root of little: runc cannot mount its devpts there. */
export const isNamespaced = (): boolean => !/^\s*0\s+0\s+4294967295\s*$/m.test(readFileSync('/proc/self/uid_map', 'utf8'))

const UNSHARE = ['--user', '--map-root-user', '--mount']

/** True where a user may be root of a namespace of their own; some distributions forbid it. */
export const mayMakeNamespace = (): boolean => spawnSync('unshare', [...UNSHARE, 'true'], { stdio: 'ignore' }).status === 0

/** Runs this very program again as root of a user namespace; resolves to its exit code. Signals are passed on. */
export async function runInNamespace(signal: AbortSignal): Promise<number> {
  const child: ChildProcess = spawn('unshare', [...UNSHARE, process.execPath, ...process.argv.slice(1)], { stdio: 'inherit' })
  signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true })
  const [code]: (number | null)[] = await once(child, 'exit')
  return code ?? 1
}
