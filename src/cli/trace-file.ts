/** Where `pull --trace` puts what it has heard. */
import { type FileHandle, open } from 'node:fs/promises'
import type { PullEvent } from '../pull/pull.ts'
import type { PullReport } from '../pull/report.ts'
import type { Heard } from '../pull/trace.ts'

export class TraceFile implements AsyncDisposable {
  readonly #file: FileHandle
  readonly #since: number
  readonly #heard: Heard[] = []

  private constructor(file: FileHandle, since: number) {
    this.#file = file
    this.#since = since
  }

  /** Made before anything is pulled, for a name that cannot be written to should cost no pull. Throws system. */
  static async create(path: string, since: number): Promise<TraceFile> {
    return new TraceFile(await open(path, 'w'), since)
  }

  hear(event: PullEvent): void {
    this.#heard.push({ atMs: performance.now() - this.#since, event })
  }

  async write(report: PullReport): Promise<void> {
    const { traceOf } = await import('../pull/trace.ts')
    await this.#file.writeFile(`${JSON.stringify(traceOf(report, this.#heard))}\n`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}
