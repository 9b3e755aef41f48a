/** The line at which a text stops being JSON (RFC 8259). Node's own message quotes the text, which here may be a secret, and names no line. */

const SPACE = /[ \t\r\n]*/y
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON refuses them in strings
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const SCALAR = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const MAX_DEPTH = 100

/** Counted from 1. For a text that JSON.parse refuses. */
export function lineOfMistake(text: string): number {
  const reader = new Reader(text)
  reader.value(0)
  return text.slice(0, reader.at).split('\n').length
}

/** Goes as far as the text is right; each method says whether what it is for was there. */
class Reader {
  readonly #text: string
  at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): boolean {
    this.#take(SPACE)
    const isValue =
      depth < MAX_DEPTH &&
      (this.#list('{', '}', () => this.#take(STRING) && this.#take(SPACE) && this.#sign(':') && this.value(depth + 1)) ||
        this.#list('[', ']', () => this.value(depth + 1)) ||
        this.#take(STRING) ||
        this.#take(SCALAR))
    return isValue && this.#take(SPACE)
  }

  /** Stays where it went wrong once it has begun. */
  #list(open: string, close: string, item: () => boolean): boolean {
    if (!this.#sign(open)) return false
    this.#take(SPACE)
    if (this.#sign(close)) return true
    do this.#take(SPACE)
    while (item() && this.#take(SPACE) && this.#sign(','))
    return this.#sign(close)
  }

  #sign(sign: string): boolean {
    if (this.#text[this.at] !== sign) return false
    this.at++
    return true
  }

  #take(pattern: RegExp): boolean {
    pattern.lastIndex = this.at
    if (!pattern.test(this.#text)) return false
    this.at = pattern.lastIndex
    return true
  }
}
