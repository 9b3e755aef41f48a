/** A committed layer as memory has it. */
import type { CopyableLayer } from '../store.ts'
import { diffDir, type Layout, shortOf, tarSplitFile } from './layout.ts'
import type { LayerBrief, LayerRecord } from './records.ts'

export class KnownLayer {
  readonly record: LayerBrief
  /** All there is to record of it; absent once a row names it. */
  unrecorded: LayerRecord | undefined
  readonly #at: Layout
  #layer: CopyableLayer | undefined

  constructor(at: Layout, record: LayerBrief, unrecorded?: LayerRecord) {
    this.#at = at
    this.record = record
    this.unrecorded = unrecorded
  }

  /** As others see it: one value for as long as its record stays. It is made when somebody looks, because thousands take their time. */
  get layer(): CopyableLayer {
    this.#layer ??= layerOf(this.#at, this.record)
    return this.#layer
  }
}

function layerOf(at: Layout, { id, diffId, parent, facts, damage }: LayerBrief): CopyableLayer {
  const below = parent === undefined ? {} : { parent }
  const paths = { diff: diffDir(at, id), tarSplit: tarSplitFile(at, id), short: shortOf(id) }
  return { id, diffId, ...below, ...paths, facts, ...(damage === undefined ? {} : { damage }) }
}
