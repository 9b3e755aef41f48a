/**
 * One buffer that all connections read into. Node makes a buffer for every read, 64 KiB that stay until the garbage is collected: at
 * hundreds of megabytes a second they were half of what the daemon held, and most of what its collector did. Whoever takes a chunk is done
 * with it when it returns (task.ts), so the next read may overwrite it; what nobody takes now is copied, and no more is read until it is wanted.
 */
import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'

/** As much as Node itself would read at once. */
const SIZE = 64 * 1024

const arena = Buffer.allocUnsafeSlow(SIZE)

/** Takes what was read, and says whether more may come. */
type Taker = (chunk: Buffer) => boolean
const takers = new WeakMap<object, Taker>()

/** For `net.connect` and `tls.connect`; a connection over another socket ignores it, and reads as Node does. */
export const onread = {
  buffer: arena,
  /** `this` is the socket. */
  callback(length: number): boolean {
    return takers.get(this)?.(arena.subarray(0, length)) ?? true
  },
}

/** The same connector, whose sockets give out of the arena what they were connected to read into it. */
export const readingInto =
  (connect: buildConnector.connector): buildConnector.connector =>
  (options, callback) =>
    connect(options, (...[error, socket]) => {
      if (error === null) {
        lend(socket)
        callback(null, socket)
      } else callback(error, null)
    })

/** undici asks a socket that is readable for chunks until there is none, and puts back what it did not get to. */
function lend(socket: Socket): void {
  let chunk: Buffer | undefined
  const [read, unshift] = [socket.read.bind(socket), socket.unshift.bind(socket)]
  takers.set(socket, (given) => {
    // TLS decrypts all that came before it stops.
    chunk = chunk === undefined ? given : Buffer.concat([chunk, given])
    socket.emit('readable')
    if (chunk === undefined) return true
    if (chunk.buffer === arena.buffer) chunk = Buffer.from(chunk)
    return false
  })
  socket.read = (size) => {
    // Asked for what is not there, a socket that was stopped reads on (net.js, Socket.prototype.read).
    if (chunk === undefined || size === 0) return read(size)
    const given = chunk
    chunk = undefined
    return given
  }
  socket.unshift = (rest, encoding) => {
    if (!(rest instanceof Buffer)) unshift(rest, encoding)
    else if (rest.length > 0) chunk = rest
  }
}
