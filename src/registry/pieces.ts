/**
 * How much of a blob is asked for at once, where the answer may have to stand still: a paused connection goes on taking from the network what its
 * receive buffer has room for, and that grows with the rate it came at, to tens of megabytes (tcp(7), tcp_rmem).
 */

/** What comes in this time, at the rate of the piece before. */
const PIECE_MS = 100
/** Less is mostly the wait for its first byte; more would be in the way of others for long where the rate was overestimated. */
const LEAST = 512 * 1024
const FIRST = 1024 * 1024
const MOST = 4 * 1024 * 1024

export class Pieces {
  #size = FIRST

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
