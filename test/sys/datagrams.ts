/** The other end of sd_notify(3): a datagram socket of the unix family, as a service manager has one. */
import { Buffer } from 'node:buffer'
import { check, close, wrap } from '../../src/sys/libc.ts'

const socketCall = wrap<[domain: number, type: number, protocol: number]>('socket', 'int', ['int', 'int', 'int'])
const bind = wrap<[fd: number, address: Buffer, length: number]>('bind', 'int', ['int', 'void *', 'uint'])
const recv = wrap<[fd: number, into: Buffer, size: number, flags: number]>('recv', 'int64', ['int', 'void *', 'size_t', 'int'])
const setsockopt = wrap<[fd: number, level: number, option: number, value: Buffer, length: number]>('setsockopt', 'int', [
  'int',
  'int',
  'int',
  'void *',
  'uint',
])
const [AF_UNIX, SOCK_DGRAM, SOCK_CLOEXEC, SOL_SOCKET, SO_RCVTIMEO] = [1, 2, 0o2000000, 1, 20]

export interface Datagrams extends Disposable {
  /** The next message. Waits for it, ten seconds at most. */
  next(): string
}

/** `name` are the bytes of sun_path: a path with its NUL, or an abstract name that begins with one. */
export function receiveAt(name: string): Datagrams {
  const fd = check(socketCall(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket')
  const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), Buffer.from(name)])
  check(bind(fd, address, address.length), 'bind', name)
  const patience = Buffer.alloc(16)
  patience.writeBigInt64LE(10n)
  check(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, patience, patience.length), 'setsockopt')
  const into = Buffer.alloc(4_096)
  return {
    next: () => into.toString('utf8', 0, check(recv(fd, into, into.length, 0), 'recv', name)),
    [Symbol.dispose]: () => void close(fd),
  }
}
