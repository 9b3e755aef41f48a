/** Lines out of a stream of bytes, of bounded length. */

/** The longest answer: the paths of directories a layer left out make most of it. */
const MAX_LINE = 2 ** 25
const NEWLINE = 10

export class Lines {
  #parts: Buffer[] = []
  #length = 0

  /** The lines that `bytes` complete. Undefined once a line is too long. */
  take(bytes: Buffer): readonly Buffer[] | undefined {
    const lines: Buffer[] = []
    let start = 0
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      lines.push(Buffer.concat([...this.#parts, bytes.subarray(start, end)]))
      this.#parts = []
      this.#length = 0
      start = end + 1
    }
    if (start < bytes.length) this.#parts.push(bytes.subarray(start))
    this.#length += bytes.length - start
    return this.#length > MAX_LINE ? undefined : lines
  }
}
