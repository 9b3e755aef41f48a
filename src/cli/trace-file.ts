/** Where `pull --trace` puts what it has heard. */
import { type FileHandle, open } from 'node:fs/promises'
import { describe, fail, failureOf } from '../failure/failure.ts'
import type { PullEvent, Told } from '../pull/pull.ts'
import type { PullReport } from '../pull/report.ts'

export class TraceFile implements AsyncDisposable {
  readonly #file: FileHandle
  #heard: Told[] = []

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** Made before anything is pulled, for a name that cannot be written to should cost no pull. Throws invalid-argument. */
  static async create(path: string): Promise<TraceFile> {
    try {
      return new TraceFile(await open(path, 'w'))
    } catch (error) {
      const reason = `${describe(failureOf(error))}; nothing was pulled`
      return fail({ kind: 'invalid-argument', what: '--trace', reason })
    }
  }

  hear(event: PullEvent, atMs: number): void {
    // Of several pulls for one call the last one counts.
    if (event.type === 'begun') this.#heard = []
    this.#heard.push({ event, atMs })
  }

  async write(report: PullReport): Promise<void> {
    const { traceOf } = await import('../pull/trace.ts')
    await this.#file.writeFile(`${JSON.stringify(traceOf(report, this.#heard))}\n`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}
