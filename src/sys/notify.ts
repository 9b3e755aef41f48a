/**
 * Tells the service manager how the daemon is doing (sd_notify(3)): one datagram a message, to the socket the environment names. Node has
 * no datagram sockets of this family.
 */
import { Buffer } from 'node:buffer'
import { check, close, failureFor, wrap } from './libc.ts'

const socketCall = wrap<[domain: number, type: number, protocol: number]>('socket', 'int', ['int', 'int', 'int'])
const sendto = wrap<[fd: number, bytes: Buffer, size: number, flags: number, address: Buffer, length: number]>(
  'sendto',
  'int64',
  ['int', 'void *', 'size_t', 'int', 'void *', 'uint'],
)

const AF_UNIX = 1
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000
// A manager that is stuck must not have us wait with it.
const FLAGS = 0x4000 | 0x40 // MSG_NOSIGNAL, MSG_DONTWAIT
/** sun_path (unix(7)). */
const MAX_PATH = 108

export interface Notifier extends Disposable {
  /** `READY=1`, `status(…)`. Never throws: nobody must stop for a manager that does not listen. */
  notify(...state: readonly string[]): void
}

/** What `systemctl status` shows. One line, whatever was put into the text: a second one would be another message. */
export const status = (text: string): string => `STATUS=${text.replace(/\p{Cc}+/gu, ' ')}`

export type Environment = Record<string, string | undefined>

/**
 * The manager named by `env`, which loses its variables: children are not to speak for us. With a watchdog it is told twice in its period
 * that we live. `onError` hears of a message that could not be sent.
 */
export function openNotifier(env: Environment, onError: (error: Error) => void): Notifier {
  const { NOTIFY_SOCKET: path = '', WATCHDOG_USEC, WATCHDOG_PID } = env
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name]
  if (path === '') return { notify: () => {}, [Symbol.dispose]: () => {} }
  const address = addressOf(path)
  const fd = check(socketCall(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket')
  const notify = (...state: readonly string[]): void => {
    const bytes = Buffer.from(state.join('\n'))
    const sent = sendto(fd, bytes, bytes.length, FLAGS, address, address.length)
    if (sent < 0) onError(new Error(`sendto ${path}: ${JSON.stringify(failureFor(sent, 'sendto', path))}`))
  }
  const isForUs = WATCHDOG_PID === undefined || WATCHDOG_PID === String(process.pid)
  const period = isForUs ? Number(WATCHDOG_USEC) / 1000 : Number.NaN
  const timer = period > 0 ? setInterval(() => notify('WATCHDOG=1'), period / 2).unref() : undefined
  return {
    notify,
    [Symbol.dispose]: () => {
      clearInterval(timer)
      close(fd)
    },
  }
}

/** A sockaddr_un. A leading `@` stands for the NUL of an abstract address (sd_notify(3)), whose length counts, not a terminator. */
function addressOf(path: string): Buffer {
  const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : `${path}\0`).subarray(0, MAX_PATH)
  const family = Buffer.alloc(2)
  family.writeUInt16LE(AF_UNIX)
  return Buffer.concat([family, name])
}
