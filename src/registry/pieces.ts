/**
 * How much of a blob is asked for at once, where the answer may have to stand still: a paused connection goes on taking from the network what its
 * receive buffer has room for, and that grows with the rate it came at, to tens of megabytes (tcp(7), tcp_rmem).
 */

/** What comes in this time, at the rate of the piece before. */
const PIECE_MS = 100
/** Less is mostly the wait for its first byte; more would be in the way of others for long on a link that has become slow. */
const LEAST = 1024 * 1024
const MOST = 8 * 1024 * 1024

export class Pieces {
  #size = LEAST

  /** Where the piece that begins there ends. */
  end(from: number, size: number): number {
    return Math.min(from + this.#size, size)
  }

  /** A piece took so long, from its first byte on. */
  came(bytes: number, ms: number): void {
    const wanted = ms > 0 ? (bytes / ms) * PIECE_MS : MOST
    this.#size = Math.round(Math.min(MOST, Math.max(LEAST, wanted)))
  }
}
