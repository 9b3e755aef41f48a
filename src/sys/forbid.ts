/** System calls a process gives up for good, by a seccomp filter (seccomp(2)) over all its threads. */
import koffi from 'koffi'
import { ENOSYS, EPERM, wrap } from './libc.ts'

const seccomp = wrap<[call: number, operation: number, flags: number, program: Buffer]>('syscall', 'int64', [
  'int64',
  'int64',
  'int64',
  'void *',
])

type Machine = {
  readonly audit: number
  readonly seccomp: number
  readonly calls: readonly number[]
  // Those that are refused by what they are asked for.
  readonly prlimit64: number
  readonly tgkill: number
  readonly clone: number
  readonly ioctl: number
  readonly madvise: number
}

/** Numbers differ below 424 (asm/unistd_64.h, asm-generic/unistd.h); a call an architecture lacks is left out. */
export const forbidden: Readonly<Record<string, Machine>> = {
  x64: {
    audit: 0xc000003e,
    seccomp: 317,
    prlimit64: 302,
    tgkill: 234,
    clone: 56,
    ioctl: 16,
    madvise: 28,
    calls: [
      // Other programs: fork, vfork, execve, execveat, ptrace, process_vm_readv, process_vm_writev.
      ...[57, 58, 59, 322, 101, 310, 311],
      // Sockets: socket, connect, bind, socketpair.
      ...[41, 42, 49, 53],
      // Mounts and namespaces: mount, umount2, pivot_root, chroot, setns, unshare.
      ...[165, 166, 155, 161, 308, 272],
      // The kernel itself: bpf, perf_event_open, init_module, finit_module, delete_module, kexec_load, kexec_file_load, reboot, iopl, ioperm.
      ...[321, 298, 175, 313, 176, 246, 320, 169, 172, 173],
      // Swap, accounting, quota, clocks, log: swapon, swapoff, acct, quotactl, settimeofday, clock_settime, syslog.
      ...[167, 168, 163, 179, 164, 227, 103],
      // Keys, faults, handles: add_key, request_key, keyctl, userfaultfd, open_by_handle_at.
      ...[248, 249, 250, 323, 304],
      // Signals to other processes (Landlock keeps them inside since 6.12): kill, tkill, rt_sigqueueinfo, rt_tgsigqueueinfo.
      ...[62, 200, 129, 297],
      // Other processes' turns: sched_setscheduler, sched_setparam, sched_setattr, sched_setaffinity, setpriority, ioprio_set.
      ...[144, 142, 314, 203, 141, 251],
      // Everybody's opens, which whoever watches may hold up; names of the machine: fanotify_init, sethostname, setdomainname.
      ...[300, 170, 171],
      // Shared memory, semaphores, queues: shmget, shmat, shmctl, semget, semop, semctl, semtimedop, msgget, msgsnd, msgrcv, msgctl, mq_open, mq_unlink.
      ...[29, 30, 31, 64, 65, 66, 220, 68, 69, 70, 71, 240, 241],
    ],
  },
  arm64: {
    audit: 0xc00000b7,
    seccomp: 277,
    prlimit64: 261,
    tgkill: 131,
    clone: 220,
    ioctl: 29,
    madvise: 233,
    calls: [
      ...[221, 281, 117, 270, 271],
      ...[198, 203, 200, 199],
      ...[40, 39, 41, 51, 268, 97],
      ...[280, 241, 105, 273, 106, 104, 294, 142],
      ...[224, 225, 89, 60, 170, 112, 116],
      ...[217, 218, 219, 282, 265],
      ...[129, 130, 138, 240],
      ...[119, 118, 274, 122, 140, 30],
      ...[262, 161, 162],
      ...[194, 196, 195, 190, 193, 191, 192, 186, 189, 188, 187, 180, 181],
    ],
  },
}
/**
 * The same everywhere: pidfd_send_signal, io_uring_setup, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, pidfd_open, pidfd_getfd,
 * mount_setattr, quotactl_fd, open_tree_attr.
 */
const EVERYWHERE: readonly number[] = [424, 425, 428, 429, 430, 431, 432, 433, 434, 438, 442, 443, 467]

const SET_MODE_FILTER = 1
const FLAG_TSYNC = 1
// linux/bpf_common.h: load a word, jump if equal, if greater or equal, if a bit is set, return.
const LOAD = 0x20
const JUMP_EQUAL = 0x15
const JUMP_AT_LEAST = 0x35
const JUMP_SET = 0x45
const RETURN = 0x06
const NUMBER_AT = 0
const ARCHITECTURE_AT = 4
/** The lower halves of the arguments (struct seccomp_data): none that is looked at is longer. */
const argumentAt = (index: number): number => 16 + 8 * index
const ALLOW = 0x7fff0000
const failWith = (errno: number): number => 0x00050000 | errno
const REFUSE = failWith(EPERM)
/** Numbers from here on are another ABI's on x64. */
const X32 = 0x40000000

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number]

/** What a call is allowed for, by one of its arguments. */
export type Guard =
  | { readonly call: number; readonly argument: number; readonly among: readonly number[] }
  | { readonly call: number; readonly argument: number; readonly none: readonly number[] }
  /** Bits. */
  | { readonly call: number; readonly argument: number; readonly with: number; readonly without: number }
  /** Never; whoever calls it takes this error for a kernel that does not have it, and finds another way. */
  | { readonly call: number; readonly errno: number }

/** Decides about one call, to its end. */
function decide(guard: Guard): readonly Instruction[] {
  if ('errno' in guard) return [[RETURN, 0, 0, failWith(guard.errno)]]
  const load: Instruction = [LOAD, 0, 0, argumentAt(guard.argument)]
  const [allow, refuse]: [Instruction, Instruction] = [
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, REFUSE],
  ]
  if ('with' in guard) return [load, [JUMP_SET, 0, 1, guard.with], [JUMP_SET, 0, 1, guard.without], refuse, allow]
  const values = 'among' in guard ? guard.among : guard.none
  const jumps = values.map((value, index): Instruction => [JUMP_EQUAL, values.length - index, 0, value])
  return [load, ...jumps, ...('among' in guard ? [refuse, allow] : [allow, refuse])]
}

/** The filter: refuse what is listed and what is another ABI's, decide about what is guarded, allow the rest. */
export function filterFor(audit: number, calls: readonly number[], guards: readonly Guard[] = []): readonly Instruction[] {
  const guarded = guards.flatMap((guard): readonly Instruction[] => {
    const decision = decide(guard)
    return [[JUMP_EQUAL, 0, decision.length, guard.call], ...decision]
  })
  const last = calls.length + guarded.length
  return [
    [LOAD, 0, 0, ARCHITECTURE_AT],
    [JUMP_EQUAL, 0, last + 3, audit],
    [LOAD, 0, 0, NUMBER_AT],
    [JUMP_AT_LEAST, last + 1, 0, X32],
    ...calls.map((call, index): Instruction => [JUMP_EQUAL, last - index, 0, call]),
    ...guarded,
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, REFUSE],
  ]
}

// linux/sched.h: a thread of this process, in its namespaces (CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET).
const CLONE_THREAD = 0x10000
const CLONE_NEW = 0x7e020000
const SYS_CLONE3 = 435
// asm-generic/ioctls.h: TCGETS, TCGETS2, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX.
const HARMLESS_IOCTLS = [0x5401, 0x802c542a, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451] as const
// asm-generic/mman-common.h: MADV_HWPOISON, MADV_SOFT_OFFLINE.
const MADV_BREAKS_MEMORY = [100, 101] as const

/** What a process of root's may be asked for here and no more. To the kernel every process of root's is its own, and every file system. */
const guardsOf = (machine: Machine): readonly Guard[] => [
  { call: machine.prlimit64, argument: 0, among: [0] },
  // To itself: abort(3) does that.
  { call: machine.tgkill, argument: 0, among: [process.pid] },
  // No process that would outlive this one: it would not be ended with it.
  { call: machine.clone, argument: 0, with: CLONE_THREAD, without: CLONE_NEW },
  // Its flags lie in memory, where no filter sees them; libc then takes clone.
  { call: SYS_CLONE3, errno: ENOSYS },
  // A file system can be frozen, or shut down, through any file of it.
  { call: machine.ioctl, argument: 1, among: HARMLESS_IOCTLS },
  { call: machine.madvise, argument: 2, none: MADV_BREAKS_MEMORY },
]

/** Gives the calls up; 0, or −errno. no_new_privs must be set, or the caller privileged. */
export function forbidCalls(): number {
  const machine = forbidden[process.arch]
  if (machine === undefined) return -ENOSYS
  const filter = filterFor(machine.audit, [...machine.calls, ...EVERYWHERE], guardsOf(machine))
  const code = Buffer.from(new ArrayBuffer(filter.length * 8))
  for (const [index, [operation, ifTrue, ifFalse, value]] of filter.entries()) {
    code.writeUInt16LE(operation, index * 8)
    code.writeUInt8(ifTrue, index * 8 + 2)
    code.writeUInt8(ifFalse, index * 8 + 3)
    code.writeUInt32LE(value, index * 8 + 4)
  }
  const program = Buffer.alloc(16)
  program.writeUInt16LE(filter.length, 0)
  program.writeBigUInt64LE(koffi.address(code), 8)
  return seccomp(machine.seccomp, SET_MODE_FILTER, FLAG_TSYNC, program)
}
