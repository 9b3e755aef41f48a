/** Limits a process sets on itself before it touches what others wrote. */
import { errnoName, wrap } from './libc.ts'

const setrlimit = wrap<[resource: number, limits: Buffer]>('setrlimit', 'int', ['int', 'void *'])
const prctl = wrap<[option: number, value: number, zero3: number, zero4: number, zero5: number]>('prctl', 'int', [
  'int',
  'ulong',
  'ulong',
  'ulong',
  'ulong',
])

// asm-generic/resource.h, the same on x86 and ARM.
const RLIMIT = { CORE: 4, NOFILE: 7 } as const
const PR_SET_PDEATHSIG = 1
const SIGKILL = 9

/** Bounds descriptors, leaves no core, and dies with the thread that started it. Returns what was refused, a line each. */
export function limitProcess(descriptors: number): string[] {
  const steps: readonly (readonly [what: string, result: number])[] = [
    ['RLIMIT_NOFILE', setrlimit(RLIMIT.NOFILE, limits(descriptors))],
    ['RLIMIT_CORE', setrlimit(RLIMIT.CORE, limits(0))],
    ['PR_SET_PDEATHSIG', prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)],
  ]
  return steps.flatMap(([what, result]) => (result < 0 ? [`${what}: ${errnoName(result)}`] : []))
}

function limits(value: number): Buffer {
  const pair = Buffer.alloc(16)
  pair.writeBigUInt64LE(BigInt(value), 0)
  pair.writeBigUInt64LE(BigInt(value), 8)
  return pair
}
