/**
 * The reports of the last pulls, a line of JSON each, in one file of the root: the same whichever store images are in, and none of the
 * database's that must not be lost. Nothing is synced: a power cut may take the last lines.
 */
import { appendFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { fail, failureOf } from '../failure/failure.ts'
import { formatReference, formatRepository, namesOne, parseReference } from '../reference/parse.ts'
import type { Log } from './log.ts'
import { type PullReport, pullReport } from './report.ts'

/** As many are kept, for as long; the file is cut when it has twice as many, or twice as much. */
const MAX_REPORTS = 500
const MAX_AGE_MS = 30 * 86_400_000
/** Of images of ten layers, all of them; `windlass top` asks every two seconds, and pulls are answered meanwhile. */
const MAX_CHARACTERS = 8 * 1024 * 1024
/** Read without a turn for anybody else. */
const CHARACTERS_AT_ONCE = 256 * 1024

/** Of one reference as a person types it, or of one pull by the beginning of its id; all of both where neither is said. 0: as many as there are. */
export type HistoryAsk = { readonly reference?: string; readonly id?: string; readonly limit: number }

export class History implements AsyncDisposable {
  readonly #file: string
  readonly #log: Log
  readonly #most: number
  /** One change after the other. */
  #changes: Promise<void> = Promise.resolve()
  /** What the file holds; unknown until it was read. */
  #held: { readonly lines: number; readonly characters: number } | undefined

  constructor(file: string, log: Log, most: number = MAX_REPORTS) {
    this.#file = file
    this.#log = log
    this.#most = most
  }

  /** Written down behind the pull, which does not fail for want of a report. */
  add(report: PullReport): void {
    this.#changes = this.#changes.then(async () => {
      try {
        if (this.#held === undefined) await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 })
        const before = this.#held ?? sizeOf(await this.#text())
        // What a crash has cut off must not take this line with it.
        const line = `${this.#held === undefined ? '\n' : ''}${JSON.stringify(report)}\n`
        await appendFile(this.#file, line, { mode: 0o600 })
        this.#held = { lines: before.lines + 1, characters: before.characters + line.length }
        if (this.#held.lines >= 2 * this.#most || this.#held.characters >= 2 * MAX_CHARACTERS) await this.#trim()
      } catch (error) {
        this.#log.warn({ pull: report.id, failure: failureOf(error) }, 'the report of this pull could not be written down')
      }
    })
  }

  /** Newest first. Throws system, no-space, invalid-reference; invalid-argument where an id is nobody's. */
  async list({ reference, id, limit }: HistoryAsk): Promise<readonly PullReport[]> {
    const named = reference === undefined ? undefined : namedBy(reference)
    await this.#changes
    const isMeant = (report: PullReport): boolean =>
      (id === undefined || report.id.startsWith(id)) && (named === undefined || named.has(report.reference))
    const parts = [
      ...(id === undefined ? [] : [`"id":${JSON.stringify(id).slice(0, -1)}`]),
      ...(named === undefined ? [] : [`"reference":${JSON.stringify(named.start).slice(0, -1)}`]),
    ]
    const meant: PullReport[] = []
    for await (const { report } of this.#newest((line) => parts.every((part) => line.includes(part)))) {
      if (isMeant(report)) meant.push(report)
      if (limit !== 0 && meant.length === limit) break
    }
    if (id !== undefined && meant.length === 0) {
      const reason = 'no such pull is on record; windlass history lists those that are'
      fail({ kind: 'invalid-argument', what: `pull ${JSON.stringify(id)}`, reason })
    }
    return meant
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#changes
  }

  async #trim(): Promise<void> {
    const kept: string[] = []
    for await (const { line } of this.#newest(() => true)) kept.push(`${line}\n`)
    const text = kept.toReversed().join('')
    await writeFile(`${this.#file}.new`, text, { mode: 0o600 })
    await rename(`${this.#file}.new`, this.#file)
    this.#held = { lines: kept.length, characters: text.length }
  }

  /** Those that are kept, newest first, but for lines that cannot be meant. What a crash has cut off, or another version wrote, is none. */
  async *#newest(mayBe: (line: string) => boolean): AsyncGenerator<{ readonly line: string; readonly report: PullReport }> {
    const since = Date.now() - MAX_AGE_MS
    let [count, characters, read] = [0, 0, 0]
    for (const line of (await this.#text()).split('\n').reverse()) {
      if (line === '') continue
      characters += line.length
      if (count === this.#most || characters > MAX_CHARACTERS) return
      const isOther = !mayBe(line)
      const report = isOther ? undefined : reportIn(line)
      if (isOther || report !== undefined) count++
      if (report !== undefined && report.startedAtMs >= since) yield { line, report }
      read += line.length
      if (read > CHARACTERS_AT_ONCE) {
        read = 0
        await turn()
      }
    }
  }

  async #text(): Promise<string> {
    return await readFile(this.#file, 'utf8').catch((error: unknown) => {
      const failure = failureOf(error)
      if (failure.kind === 'system' && failure.code === 'ENOENT') return ''
      throw error
    })
  }
}

/** What a person means by a name: one tag or digest, or every one of a repository where they have said none. `start`: what all begin with. */
function namedBy(text: string): { readonly start: string; readonly has: (reference: string) => boolean } {
  const reference = parseReference(text)
  const [repository, name] = [formatRepository(reference), formatReference(reference)]
  if (namesOne(text)) return { start: name, has: (other) => other === name }
  return { start: repository, has: (other) => other.startsWith(`${repository}:`) || other.startsWith(`${repository}@`) }
}

const sizeOf = (text: string): { readonly lines: number; readonly characters: number } => ({
  lines: text.split('\n').filter((line) => line !== '').length,
  characters: text.length,
})

function reportIn(line: string): PullReport | undefined {
  try {
    return pullReport.safeParse(JSON.parse(line)).data
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
