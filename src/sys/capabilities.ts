/** What the kernel lets this process do, beyond what any user may (capabilities(7)). */
import { readFileSync } from 'node:fs'

/** Bits of the effective set (linux/capability.h). */
const BITS = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_FOWNER: 3,
  CAP_FSETID: 4,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SETPCAP: 8,
  CAP_SYS_ADMIN: 21,
  CAP_SYS_NICE: 23,
  CAP_MKNOD: 27,
  CAP_SETFCAP: 31,
} as const

export type Capability = keyof typeof BITS

/** Those of `wanted` that this process has not got. */
export function missingCapabilities(wanted: readonly Capability[]): readonly Capability[] {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  const bits = BigInt(`0x${effective}`)
  return wanted.filter((name) => (bits & (1n << BigInt(BITS[name]))) === 0n)
}
