/**
 * The reports of the last pulls, a line of JSON each, in one file of the root: the same whichever store images are in, and none of the
 * database's that must not be lost. Nothing is synced: a power cut may take the last lines.
 */
import { appendFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fail, failureOf } from '../failure/failure.ts'
import type { Log } from './log.ts'
import { type PullReport, pullReport } from './report.ts'

/** As many are kept, for as long; the file is cut when it has twice as many. */
const MAX_REPORTS = 500
const MAX_AGE_MS = 30 * 86_400_000

/** Of one reference in normal form, or of one pull by the beginning of its id; all of both where neither is said. 0: as many as there are. */
export type HistoryAsk = { readonly reference?: string; readonly id?: string; readonly limit: number }

export class History implements AsyncDisposable {
  readonly #file: string
  readonly #log: Log
  readonly #most: number
  /** One change after the other. */
  #changes: Promise<void> = Promise.resolve()
  /** Unknown until the file was read. */
  #lines: number | undefined

  constructor(file: string, log: Log, most: number = MAX_REPORTS) {
    this.#file = file
    this.#log = log
    this.#most = most
  }

  /** Written down behind the pull, which does not fail for want of a report. */
  add(report: PullReport): void {
    this.#changes = this.#changes.then(async () => {
      try {
        if (this.#lines === undefined) await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 })
        const before = this.#lines ?? (await this.#read()).length
        // What a crash has cut off must not take this line with it.
        const start = this.#lines === undefined ? '\n' : ''
        await appendFile(this.#file, `${start}${JSON.stringify(report)}\n`, { mode: 0o600 })
        this.#lines = before + 1
        if (this.#lines >= 2 * this.#most) await this.#trim()
      } catch (error) {
        this.#log.warn({ pull: report.id, failure: failureOf(error) }, 'the report of this pull could not be written down')
      }
    })
  }

  /** Newest first. Throws system, no-space; invalid-argument where an id is nobody's. */
  async list({ reference, id, limit }: HistoryAsk): Promise<readonly PullReport[]> {
    await this.#changes
    const all = this.#kept(await this.#read()).toReversed()
    const meant = all.filter(
      (report) => (id === undefined || report.id.startsWith(id)) && (reference === undefined || report.reference === reference),
    )
    if (id !== undefined && meant.length === 0) {
      const reason = 'no such pull is on record; windlass history lists those that are'
      fail({ kind: 'invalid-argument', what: `pull ${JSON.stringify(id)}`, reason })
    }
    return limit === 0 ? meant : meant.slice(0, limit)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#changes
  }

  async #trim(): Promise<void> {
    const kept = this.#kept(await this.#read())
    const text = kept.map((report) => `${JSON.stringify(report)}\n`).join('')
    await writeFile(`${this.#file}.new`, text, { mode: 0o600 })
    await rename(`${this.#file}.new`, this.#file)
    this.#lines = kept.length
  }

  #kept(reports: readonly PullReport[]): readonly PullReport[] {
    const since = Date.now() - MAX_AGE_MS
    return reports.slice(-this.#most).filter(({ startedAtMs }) => startedAtMs >= since)
  }

  /** Lines that are no reports, cut off by a crash, or of another version, are none. */
  async #read(): Promise<readonly PullReport[]> {
    const text = await readFile(this.#file, 'utf8').catch((error: unknown) => {
      const failure = failureOf(error)
      if (failure.kind === 'system' && failure.code === 'ENOENT') return ''
      throw error
    })
    return text.split('\n').flatMap((line) => reportIn(line) ?? [])
  }
}

function reportIn(line: string): PullReport | undefined {
  try {
    return pullReport.safeParse(JSON.parse(line)).data
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
