/** Lines out of a stream of bytes, of bounded length. */

/** The longest answer: a comparison's differences, all of whose characters JSON had to escape. */
const MAX_LINE = 2 ** 22
const FIRST = 2 ** 12
const NEWLINE = 10

export class Lines {
  /** The start of a line whose end has not come. In one piece: who talks byte by byte must not make an object of each. */
  #held = Buffer.alloc(0)
  #length = 0

  /** The lines that `bytes` complete. Undefined once a line is too long. */
  take(bytes: Buffer): readonly Buffer[] | undefined {
    const lines: Buffer[] = []
    let start = 0
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      lines.push(Buffer.concat([this.#held.subarray(0, this.#length), bytes.subarray(start, end)]))
      this.#held = Buffer.alloc(0)
      this.#length = 0
      start = end + 1
    }
    return this.#hold(bytes.subarray(start)) ? lines : undefined
  }

  /** False where that makes too long a line. */
  #hold(bytes: Buffer): boolean {
    const length = this.#length + bytes.length
    if (length > MAX_LINE) return false
    if (length > this.#held.length) {
      const larger = Buffer.alloc(Math.max(FIRST, 2 * this.#held.length, length))
      this.#held.copy(larger, 0, 0, this.#length)
      this.#held = larger
    }
    bytes.copy(this.#held, this.#length)
    this.#length = length
    return true
  }
}
