/** Unix sockets that carry open descriptors: how a process of ours gets its files. */
import koffi from 'koffi'
import { check, EINTR, wrap } from './libc.ts'

const socketpairCall = wrap<[domain: number, type: number, protocol: number, fds: Buffer]>('socketpair', 'int', [
  'int',
  'int',
  'int',
  'void *',
])
const sendmsg = wrap<[fd: number, message: Buffer, flags: number]>('sendmsg', 'int64', ['int', 'void *', 'int'])
const recvmsg = wrap<[fd: number, message: Buffer, flags: number]>('recvmsg', 'int64', ['int', 'void *', 'int'])

const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const MSG = { NOSIGNAL: 0x4000, CMSG_CLOEXEC: 0x40000000 } as const

/** As many descriptors as one message of ours carries. */
const MAX_FDS = 4

/** Two ends of a unix stream socket. */
export function socketpair(): readonly [number, number] {
  const fds = Buffer.alloc(8)
  check(socketpairCall(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 'socketpair')
  return [fds.readInt32LE(0), fds.readInt32LE(4)]
}

/**
 * One msghdr with one iovec and room for descriptors (recvmsg(2), cmsg(3); the same on 64-bit x86 and ARM). All of it lies in one
 * block outside the heap, so that addresses stay true.
 */
class Message {
  readonly #block = Buffer.from(new ArrayBuffer(56 + 16 + 16 + 4 * MAX_FDS))
  readonly header = this.#block.subarray(0, 56)
  readonly #iovec = this.#block.subarray(56, 72)
  readonly #control = this.#block.subarray(72)

  constructor(bytes: Buffer) {
    this.#iovec.writeBigUInt64LE(koffi.address(bytes), 0)
    this.#iovec.writeBigUInt64LE(BigInt(bytes.length), 8)
    this.header.writeBigUInt64LE(koffi.address(this.#iovec), 16)
    this.header.writeBigUInt64LE(1n, 24)
    this.header.writeBigUInt64LE(koffi.address(this.#control), 32)
    this.header.writeBigUInt64LE(BigInt(this.#control.length), 40)
  }

  attach(fds: readonly number[]): void {
    const length = 16 + 4 * fds.length
    this.#control.writeBigUInt64LE(BigInt(length), 0)
    this.#control.writeInt32LE(SOL_SOCKET, 8)
    this.#control.writeInt32LE(SCM_RIGHTS, 12)
    for (const [index, fd] of fds.entries()) this.#control.writeInt32LE(fd, 16 + 4 * index)
    this.header.writeBigUInt64LE(BigInt(fds.length === 0 ? 0 : length), 40)
  }

  attached(): number[] {
    const there = Number(this.header.readBigUInt64LE(40))
    if (there < 20 || this.#control.readInt32LE(8) !== SOL_SOCKET || this.#control.readInt32LE(12) !== SCM_RIGHTS) return []
    const count = Math.floor((Number(this.#control.readBigUInt64LE(0)) - 16) / 4)
    return Array.from({ length: count }, (_, index) => this.#control.readInt32LE(16 + 4 * index))
  }
}

/** Memory that the garbage collector does not move, for what a message points to. */
const settled = (size: number): Buffer => Buffer.from(new ArrayBuffer(size))

/** Sends bytes and descriptors together; −errno on failure, else how many bytes went. */
export function sendWithFds(socket: number, text: string, fds: readonly number[]): number {
  const bytes = settled(Buffer.byteLength(text))
  bytes.write(text)
  const message = new Message(bytes)
  message.attach(fds)
  return sendmsg(socket, message.header, MSG.NOSIGNAL)
}

export type Received = { readonly text: string; readonly fds: readonly number[] }

const incoming = settled(2 ** 16)

/** Waits for bytes, and descriptors that came with them. Undefined when the other end is closed. Throws system. */
export function receiveWithFds(socket: number): Received | undefined {
  for (;;) {
    const message = new Message(incoming)
    const count = recvmsg(socket, message.header, MSG.CMSG_CLOEXEC)
    if (count === -EINTR) continue
    if (check(count, 'recvmsg') === 0) return undefined
    return { text: incoming.toString('latin1', 0, count), fds: message.attached() }
  }
}
