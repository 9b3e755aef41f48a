/** Warnings that say the same again: at most one a minute is written, and it says how many were not. */

const WINDOW_MS = 60_000
/** Beyond so many different ones a minute, they are written as they come: they repeat nothing. */
const MAX_KNOWN = 1_000

export class Repeats {
  readonly #heldBack = new Map<string, number>()

  /**
   * True where this is to be written now. Else `writeLater` is called once the minute is over, with how often the same has come meanwhile.
   * It must not throw.
   */
  admit(key: string, writeLater: (times: number) => void): boolean {
    const held = this.#heldBack.get(key)
    if (held !== undefined) {
      this.#heldBack.set(key, held + 1)
      return false
    }
    if (this.#heldBack.size < MAX_KNOWN) this.#wait(key, writeLater)
    return true
  }

  #wait(key: string, writeLater: (times: number) => void): void {
    this.#heldBack.set(key, 0)
    setTimeout(() => {
      const times = this.#heldBack.get(key) ?? 0
      this.#heldBack.delete(key)
      if (times === 0) return
      this.#wait(key, writeLater)
      writeLater(times)
    }, WINDOW_MS).unref()
  }
}

/**
 * What makes two lines the same: their level, their text, and what they are about. Counts and times differ each time, and the lines of one pull are never
 * repeats of another's: undefined.
 */
export function subjectOf(level: number, fields: object, text: string): string | undefined {
  if ('pull' in fields) return undefined
  const about = Object.entries(fields).filter(([, value]) => typeof value !== 'number')
  return JSON.stringify([level, text, about], (_, value: unknown) => (value instanceof Error ? value.message : value))
}
