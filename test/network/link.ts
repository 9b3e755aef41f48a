/** A bad link in user space: TCP connections handed on late, slowly, and cut in the middle. netem does this better, where there is one. */
import { createConnection, createServer, type Socket } from 'node:net'

export type LinkOptions = {
  /** `host:port` of whoever is at the other end. */
  readonly to: string
  /** From one end to the other and back. */
  readonly roundTripMs?: number
  /** Of all connections together, towards whoever connects. */
  readonly bytesPerSecond?: number
  /** Asked for each piece of at most 64 KiB that comes back; true: the connection is reset in its place. */
  readonly isCut?: () => boolean
}

export interface Link extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string
  /** Bytes that were handed on to whoever connects. */
  readonly bytes: number
  readonly cuts: number
  /** That were made so far. */
  readonly connections: number
}

/** Opens one on a free port of 127.0.0.1. */
export async function openLink(options: LinkOptions): Promise<Link> {
  const link = new UserSpaceLink(options)
  await link.listen()
  return link
}

class UserSpaceLink implements Link {
  host = ''
  bytes = 0
  cuts = 0
  connections = 0
  readonly #options: LinkOptions
  readonly #sockets = new Set<Socket>()
  readonly #server = createServer({ allowHalfOpen: true }, (socket) => this.#join(socket))
  /** When the link has carried what it was given so far. */
  #busyUntil = 0

  constructor(options: LinkOptions) {
    this.#options = options
  }

  async listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('error', reject).listen(0, '127.0.0.1', resolve)
    await promise
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the link has no port')
    this.host = `127.0.0.1:${address.port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    for (const socket of this.#sockets) socket.destroy()
    await promise
  }

  #join(near: Socket): void {
    this.connections++
    const [host = '', port = ''] = this.#options.to.split(':')
    const far = createConnection({ host, port: Number(port), allowHalfOpen: true })
    for (const socket of [near, far]) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.once('close', () => this.#sockets.delete(socket))
      // Either end may go at any time; that is what this is for.
      socket.on('error', () => {})
    }
    near.once('close', () => far.destroy())
    far.once('close', () => near.destroySoon())
    this.#carry(near, far, () => 0)
    this.#carry(
      far,
      near,
      (length) => this.#slowness(length),
      (length) => this.#came(near, length),
    )
  }

  /** Hands on what `from` says, in order, half a round trip later; `slowness` is what the link needs for so many bytes. */
  #carry(from: Socket, to: Socket, slowness: (length: number) => number, isCut = (_length: number): boolean => false): void {
    let last = Promise.resolve()
    let waiting = 0
    const { roundTripMs = 0 } = this.#options
    const later = (ms: number, work: () => void): void => {
      const until = performance.now() + ms
      const before = last
      last = new Promise((resolve) => {
        const go = async (): Promise<void> => {
          await before
          work()
          resolve()
        }
        setTimeout(() => void go(), Math.max(0, until - performance.now()))
      })
    }
    from.on('data', (chunk) => {
      waiting += chunk.length
      // As much as a link has on its way, and no more.
      if (waiting > 1_000_000) from.pause()
      later(roundTripMs / 2 + slowness(chunk.length), () => {
        waiting -= chunk.length
        from.resume()
        if (to.destroyed) return
        if (isCut(chunk.length)) return
        if (!to.write(chunk)) {
          from.pause()
          to.once('drain', () => from.resume())
        }
      })
    })
    from.once('end', () => later(roundTripMs / 2, () => to.end()))
  }

  #slowness(length: number): number {
    const { bytesPerSecond } = this.#options
    if (bytesPerSecond === undefined) return 0
    const now = performance.now()
    this.#busyUntil = Math.max(this.#busyUntil, now) + (length / bytesPerSecond) * 1000
    return this.#busyUntil - now
  }

  /** Counts; true where the connection was cut in place of handing these bytes on. */
  #came(near: Socket, length: number): boolean {
    if (this.#options.isCut?.() === true) {
      this.cuts++
      near.resetAndDestroy()
      return true
    }
    this.bytes += length
    return false
  }
}
