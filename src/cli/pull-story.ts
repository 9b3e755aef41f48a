/** What a pull has told whoever asked for it, and what is made of that once it has ended: its report, and its result. */
import { formatPlatform } from '../platform/platform.ts'
import type { LayerReport, PullEvent, PullPlan } from '../pull/pull.ts'
import { type PullReport, reportOf } from '../pull/report.ts'
import { reportDocument, rounded } from './documents.ts'

/** The result, as `-o json` and `-o yaml` print it, but for what it came to: an image's id, or a failure. */
export type Outcome = {
  /** As `windlass history` and the log have it; absent where a daemon does not tell. */
  readonly id?: string
  readonly reference: string
  readonly platform?: string
  readonly bytesFetched: number
  readonly layers: readonly LayerReport[]
  readonly ms: number
  readonly verdict: string
}

export class PullStory {
  readonly #reference: string
  readonly #asked = performance.now()
  #heard: PullEvent[] = []

  /** `reference` as typed. */
  constructor(reference: string) {
    this.#reference = reference
  }

  hear(event: PullEvent): void {
    // A daemon that finds an image going under its hands pulls again: what counts is that pull.
    if (event.type === 'begun') this.#heard = []
    if (event.type !== 'progress') this.#heard.push(event)
  }

  /** The very report that the history has, unless this caller leaves before the pull has ended. */
  report(failure?: PullReport['failure']): PullReport {
    return reportOf({ reference: this.#reference, ms: performance.now() - this.#asked }, this.#heard, failure)
  }

  outcome({ id, reference, ms, verdict }: PullReport): Outcome {
    const plan = this.#heard.find((event) => event.type === 'planned')?.plan
    // They end in any order; each is told by its place in the image.
    const layers = this.#heard
      .flatMap((event) => (event.type === 'layer' ? [event] : []))
      .toSorted((one, other) => one.layer - other.layer)
      .map(({ layer: index, report }) => ({ ...namesOf(plan?.layers[index]), ...reportDocument(report) }))
    return {
      ...(id === '' ? {} : { id }),
      reference,
      ...(plan === undefined ? {} : { platform: formatPlatform(plan.platform) }),
      bytesFetched: layers.reduce((sum, { origin, blobSize }) => sum + (origin === 'registry' ? blobSize : 0), 0),
      layers,
      ms: rounded(ms),
      verdict,
    }
  }
}

const namesOf = (layer: PullPlan['layers'][number] | undefined) =>
  layer === undefined ? {} : { digest: layer.blob.digest, diffId: layer.diffId }
