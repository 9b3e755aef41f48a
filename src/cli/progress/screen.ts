/**
 * The last lines of a terminal, redrawn in place: at most ten times a second, never more than fit, and gone when closed. Lines logged
 * meanwhile stay above.
 */
import { type Output, type Size, sizeOf } from '../io.ts'

const REDRAW_MS = 100
const ESC = '\u001b['
const HIDE_CURSOR = `${ESC}?25l`
const SHOW_CURSOR = `${ESC}?25h`

export class Screen implements Disposable {
  readonly #output: Output
  readonly #draw: (size: Size) => readonly string[]
  #drawn = 0
  #waiting: NodeJS.Timeout | undefined
  #lastDraw = Number.NEGATIVE_INFINITY
  #closed = false

  /** `draw` gives the lines as they are now, in the room there is; lines that are too wide are cut, lines that are too many left out. */
  constructor(output: Output, draw: (size: Size) => readonly string[]) {
    this.#output = output
    this.#draw = draw
    output.write(HIDE_CURSOR)
  }

  /** Something has changed: draws now, or as soon as the last drawing is old enough. */
  update(): void {
    if (this.#closed || this.#waiting !== undefined) return
    const wait = this.#lastDraw + REDRAW_MS - performance.now()
    if (wait <= 0) this.#redraw([])
    else {
      this.#waiting = setTimeout(() => {
        this.#waiting = undefined
        this.#redraw([])
      }, wait)
    }
  }

  /** Lines that stay, above what is redrawn. */
  log(lines: readonly string[]): void {
    if (lines.length > 0) this.#redraw(lines)
  }

  [Symbol.dispose](): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#waiting)
    this.#output.write(`${this.#erase()}${SHOW_CURSOR}`)
  }

  #redraw(above: readonly string[]): void {
    if (this.#closed) return
    const { columns, rows } = sizeOf(this.#output)
    // One column stays free: some terminals go to the next line after the last.
    const lines = this.#draw({ columns: columns - 1, rows })
      .slice(0, Math.max(1, rows - 1))
      .map((line) => clip(line, columns - 1))
    // One write for the whole picture, so that no half of it is ever seen.
    const text = [...above, ...lines].map((line) => `${line}\n`).join('')
    this.#output.write(this.#erase() + text)
    this.#drawn = lines.length
    this.#lastDraw = performance.now()
  }

  #erase(): string {
    return this.#drawn === 0 ? '' : `${ESC}${this.#drawn}A\r${ESC}0J`
  }
}

/** How often what nobody tells of, the time, is looked at. */
const CLOCK_MS = 1_000

/** Shows what `watch` tells of, from `first` on, until that ends with what it has come to. */
export async function showLive<T, R>(
  output: Output,
  first: T,
  draw: (now: T, size: Size) => readonly string[],
  watch: (onChange: (now: T) => void) => Promise<R>,
): Promise<R> {
  let now = first
  using screen = new Screen(output, (size) => draw(now, size))
  const clock = setInterval(() => screen.update(), CLOCK_MS)
  try {
    return await watch((next) => {
      now = next
      screen.update()
    })
  } finally {
    clearInterval(clock)
  }
}

/** Cuts a line to `width` characters, colours not counted and closed. */
export function clip(line: string, width: number): string {
  let room = width
  let cut = ''
  // Odd pieces are the escape sequences between the text.
  for (const [index, piece] of line.split(SGR).entries()) {
    if (index % 2 === 1) cut += piece
    else {
      const characters = [...piece]
      cut += characters.slice(0, Math.max(0, room)).join('')
      room -= characters.length
    }
  }
  return cut
}
const SGR = new RegExp(`(${String.fromCharCode(27)}\\[\\d+m)`)
