/**
 * Taking rights away from a thread, for good: no network, few capabilities, few files. What a thread has lost its children never have,
 * so a program started from it is confined from its first instruction, with all its threads. (From inside, a program of many threads
 * could confine one of them only.)
 *
 * Every step may be refused, for lack of rights or by an old kernel; what was refused is told, and the others are taken all the same.
 */
import { readFileSync } from 'node:fs'
import { AT, close, cstr, ENOENT, ENOSYS, ENOTDIR, EOPNOTSUPP, errnoName, O, openat, unshare, wrap } from './libc.ts'
import { enterOwnRoot } from './root.ts'
import type { Territory } from './territory.ts'

const prctl = wrap<[option: number, value: number, zero3: number, zero4: number, zero5: number]>('prctl', 'int', [
  'int',
  'ulong',
  'ulong',
  'ulong',
  'ulong',
])
const capset = wrap<[header: Buffer, sets: Buffer]>('capset', 'int', ['void *', 'void *'])
const createRuleset = wrap<[call: number, attributes: Buffer | null, size: number, flags: number]>('syscall', 'int64', [
  'int64',
  'void *',
  'int64',
  'int64',
])
const addRule = wrap<[call: number, ruleset: number, type: number, rule: Buffer, flags: number]>('syscall', 'int64', [
  'int64',
  'int64',
  'int64',
  'void *',
  'int64',
])
const restrictSelf = wrap<[call: number, ruleset: number, flags: number]>('syscall', 'int64', ['int64', 'int64', 'int64'])

const identityCall = wrap<[call: number, first: number, second: number, third: number]>('syscall', 'int64', [
  'int64',
  'int64',
  'int64',
  'int64',
])
/** asm/unistd_64.h, asm-generic/unistd.h. */
const NUMBERS: Readonly<Record<string, { readonly setgroups: number; readonly setresuid: number; readonly setresgid: number }>> =
  {
    x64: { setgroups: 116, setresuid: 117, setresgid: 119 },
    arm64: { setgroups: 159, setresuid: 147, setresgid: 149 },
  }

const PR = { SET_NO_NEW_PRIVS: 38, CAPBSET_DROP: 24, CAP_AMBIENT: 47, CAP_AMBIENT_CLEAR_ALL: 4 } as const
const CLONE_NEWNET = 0x40000000
const CAPABILITY_VERSION_3 = 0x20080522
const CAP_SETPCAP = 8

/** capabilities(7): what making any file with any owner, mode and xattr takes. SYS_ADMIN is for trusted.overlay.* alone. */
export const UNPACKING = { CHOWN: 0, DAC_OVERRIDE: 1, FOWNER: 3, FSETID: 4, SYS_ADMIN: 21, MKNOD: 27, SETFCAP: 31 } as const

/** Confines the calling thread and all it starts from now on. Returns what was refused, a line each. */
export function confineThread(territory: Territory): string[] {
  const refused: string[] = []
  const step = (what: string, result: number): void => {
    if (result < 0) refused.push(`${what}: ${errnoName(result)}`)
  }
  step('the identity of root', becomeRoot())
  step('no_new_privs', prctl(PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0))
  step('a network namespace without network', unshare(CLONE_NEWNET))
  step('a root of its own', enterOwnRoot(territory))
  step('the bounding set of capabilities', dropBounding(Object.values(UNPACKING)))
  step('ambient capabilities', prctl(PR.CAP_AMBIENT, PR.CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
  step('capabilities', keepCapabilities(Object.values(UNPACKING)))
  // Last: the steps before read /proc.
  step('Landlock', landlock(territory))
  return refused
}

/** Whoever the process runs as (a group in a unit file, say): what is made belongs to root:root, and no other group's files are open. */
function becomeRoot(): number {
  const calls = NUMBERS[process.arch]
  if (calls === undefined) return -ENOSYS
  // The system calls themselves: libc's functions of these names change every thread.
  for (const call of [calls.setgroups, calls.setresgid, calls.setresuid]) {
    const result = identityCall(call, 0, 0, 0)
    if (result < 0) return result
  }
  return 0
}

/** A program started by root gets what the bounding set holds. */
function dropBounding(kept: readonly number[]): number {
  for (let capability = 0; capability <= lastCapability(); capability++) {
    if (kept.includes(capability) || capability === CAP_SETPCAP) continue
    const result = prctl(PR.CAPBSET_DROP, capability, 0, 0, 0)
    if (result < 0) return result
  }
  // The right to drop goes last.
  return prctl(PR.CAPBSET_DROP, CAP_SETPCAP, 0, 0, 0)
}

const lastCapability = (): number => Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8'))

/** Effective and permitted become `kept` where they were held, inheritable empty (capset(2)). */
function keepCapabilities(kept: readonly number[]): number {
  const held = BigInt(`0x${/^CapPrm:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/thread-self/status', 'utf8'))?.[1] ?? '0'}`)
  const mask = kept.reduce((sum, capability) => sum | (1n << BigInt(capability)), 0n) & held
  const header = Buffer.alloc(8)
  header.writeUInt32LE(CAPABILITY_VERSION_3, 0)
  const sets = Buffer.alloc(24)
  for (const [at, half] of [mask & 0xffffffffn, mask >> 32n].entries()) {
    sets.writeUInt32LE(Number(half), at * 12)
    sets.writeUInt32LE(Number(half), at * 12 + 4)
  }
  return capset(header, sets)
}

// Landlock (linux/landlock.h). Numbers from 424 on are the same on every architecture.
const SYS = { create_ruleset: 444, add_rule: 445, restrict_self: 446 } as const
const CREATE_RULESET_VERSION = 1
const RULE_PATH_BENEATH = 1
const FS = { EXECUTE: 1, WRITE_FILE: 2, READ_FILE: 4, READ_DIR: 8, TRUNCATE: 1 << 14, IOCTL_DEV: 1 << 15 } as const
/** Bits of the file system rights, and of TCP rights and scopes, that each version of the interface knows. */
const FS_UNTIL: readonly number[] = [0, (1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1, (1 << 15) - 1]
const ALL_FS = (1 << 16) - 1
const TCP = 3
const SCOPES = 3
/** Without this version's REFER a hard link into another directory is always refused. */
const MIN_VERSION = 2
const FILE_RIGHTS = FS.EXECUTE | FS.WRITE_FILE | FS.READ_FILE | FS.TRUNCATE | FS.IOCTL_DEV

/** The version of Landlock this kernel has; −errno where it has none. */
export const landlockVersion = (): number => createRuleset(SYS.create_ruleset, null, 0, CREATE_RULESET_VERSION)

function landlock({ writable, readable, executable }: Territory): number {
  const version = landlockVersion()
  if (version < 0) return version
  if (version < MIN_VERSION) return -EOPNOTSUPP
  const handled = FS_UNTIL[version] ?? ALL_FS
  const attributes = Buffer.alloc(24)
  attributes.writeBigUInt64LE(BigInt(handled), 0)
  attributes.writeBigUInt64LE(BigInt(version >= 4 ? TCP : 0), 8)
  attributes.writeBigUInt64LE(BigInt(version >= 6 ? SCOPES : 0), 16)
  const ruleset = createRuleset(SYS.create_ruleset, attributes, version >= 6 ? 24 : version >= 4 ? 16 : 8, 0)
  if (ruleset < 0) return ruleset
  try {
    const rules: (readonly [paths: readonly string[], rights: number])[] = [
      [writable, ALL_FS & ~(FS.EXECUTE | FS.IOCTL_DEV)],
      [readable, FS.READ_FILE | FS.READ_DIR],
      [executable, FS.READ_FILE | FS.READ_DIR | FS.EXECUTE],
    ]
    for (const [paths, rights] of rules) {
      for (const path of paths) {
        const result = allow(ruleset, path, rights & handled)
        if (result < 0) return result
      }
    }
    return restrictSelf(SYS.restrict_self, ruleset, 0)
  } finally {
    close(ruleset)
  }
}

/** What is not there needs no rule. */
function allow(ruleset: number, path: string, rights: number): number {
  const directory = openat(AT.FDCWD, cstr(path), O.PATH | O.DIRECTORY | O.CLOEXEC, 0)
  const fd = directory === -ENOTDIR ? openat(AT.FDCWD, cstr(path), O.PATH | O.CLOEXEC, 0) : directory
  if (fd === -ENOENT) return 0
  if (fd < 0) return fd
  try {
    // struct landlock_path_beneath_attr is packed: rights 8 bytes, descriptor 4. Rights that files do not have are refused for them.
    const rule = Buffer.alloc(12)
    rule.writeBigUInt64LE(BigInt(directory === -ENOTDIR ? rights & FILE_RIGHTS : rights), 0)
    rule.writeInt32LE(fd, 8)
    return addRule(SYS.add_rule, ruleset, RULE_PATH_BENEATH, rule, 0)
  } finally {
    close(fd)
  }
}
