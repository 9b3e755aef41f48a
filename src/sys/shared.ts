/** Memory that two processes, or threads, share, and sleep on it (memfd_create(2), mmap(2), futex(2)). */
import koffi from 'koffi'
import { fail } from '../failure/failure.ts'
import { check, cstr, wrap } from './libc.ts'

const memfdCreate = wrap<[name: Buffer, flags: number]>('memfd_create', 'int', ['void *', 'uint'])
const ftruncate = wrap<[fd: number, size: number]>('ftruncate', 'int', ['int', 'int64'])
const mmap = koffi.load(null).func('mmap', 'int64', ['uintptr_t', 'size_t', 'int', 'int', 'int', 'int64'])
const munmap = wrap<[address: number | bigint, size: number]>('munmap', 'int', ['uintptr_t', 'size_t'])
const futexCall = wrap<
  [call: number, word: number | bigint, operation: number, value: number, timeout: Buffer | null, second: number, third: number]
>('syscall', 'int64', ['int64', 'uintptr_t', 'int64', 'int64', 'void *', 'int64', 'int64'])

const fcntl = wrap<[fd: number, command: number, value: number]>('fcntl', 'int', ['int', 'int', 'int'])

const MFD = { CLOEXEC: 1, ALLOW_SEALING: 2 } as const
const F_ADD_SEALS = 1033
const F_SEAL = { SEAL: 1, SHRINK: 2, GROW: 4 } as const
const PROT_READ_WRITE = 3
const MAP_SHARED = 1
const FUTEX = { WAIT: 0, WAKE: 1 } as const
/** asm/unistd_64.h, asm-generic/unistd.h. */
const SYS_FUTEX: Readonly<Record<string, number>> = { x64: 202, arm64: 98 }

/** Mapped memory, for as long as it is. */
export type SharedView = { readonly buffer: ArrayBuffer; readonly address: number | bigint }

/** After `unmap` nothing may touch `buffer`. */
export type Shared = SharedView & { unmap(): void }

/**
 * A descriptor of zeroed memory. Its size is sealed: whoever else holds it could otherwise cut it short, and our next access would be
 * answered with SIGBUS.
 */
export function createShared(size: number): number {
  const fd = check(memfdCreate(cstr('windlass'), MFD.CLOEXEC | MFD.ALLOW_SEALING), 'memfd_create')
  check(ftruncate(fd, size), 'ftruncate')
  check(fcntl(fd, F_ADD_SEALS, F_SEAL.SEAL | F_SEAL.SHRINK | F_SEAL.GROW), 'fcntl F_ADD_SEALS')
  return fd
}

export function mapShared(fd: number, size: number): Shared {
  const address: number = mmap(0, size, PROT_READ_WRITE, MAP_SHARED, fd, 0)
  if (address === -1) fail({ kind: 'system', operation: 'mmap', code: 'ENOMEM' })
  return { buffer: koffi.view(address, size), address, unmap: () => void munmap(address, size) }
}

/** What another thread of this process has mapped. */
export const viewShared = (address: number | bigint, size: number): SharedView => ({ buffer: koffi.view(address, size), address })

const call = SYS_FUTEX[process.arch] ?? -1

/** Sleeps while the word at `offset` is `value`, at most `milliseconds`. */
export function sleepOn({ address }: SharedView, offset: number, value: number, milliseconds: number): void {
  const timeout = Buffer.alloc(16)
  timeout.writeBigInt64LE(BigInt(Math.floor(milliseconds / 1000)), 0)
  timeout.writeBigInt64LE(BigInt(milliseconds % 1000) * 1_000_000n, 8)
  futexCall(call, Number(address) + offset, FUTEX.WAIT, value, timeout, 0, 0)
}

/** Wakes who sleeps on the word at `offset`. */
export function wake({ address }: SharedView, offset: number): void {
  futexCall(call, Number(address) + offset, FUTEX.WAKE, 1, null, 0, 0)
}
