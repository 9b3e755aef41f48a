/** One layer's part in a pull, as it is told. */
import type { StoredLayer } from '../store/store.ts'
import type { UnpackedLayer } from '../unpack/unpack.ts'
import type { LayerReport, PlannedLayer } from './pull.ts'

/** The report of a layer that was here already, with the figures there are of it. */
export const reportHere = ({ blob }: PlannedLayer, { facts }: StoredLayer): LayerReport => ({
  origin: 'here',
  blobSize: blob.size,
  diffSize: facts?.diffSize ?? 0,
  entries: facts?.entries ?? 0,
  whiteouts: facts?.whiteouts ?? 0,
  queuedMs: 0,
  startMs: 0,
  networkMs: 0,
  unpackMs: 0,
  waitMs: 0,
  inflateMs: 0,
  hashMs: 0,
  writeMs: 0,
  belowMs: 0,
  commitMs: 0,
  attempts: 0,
  warnings: [],
})

/** Of one that came. */
export const reportOf = (
  origin: 'registry' | 'copy',
  { blob }: PlannedLayer,
  facts: UnpackedLayer,
  times: Pick<LayerReport, 'startMs' | 'networkMs' | 'attempts' | 'commitMs'>,
): LayerReport => ({
  origin,
  blobSize: blob.size,
  diffSize: facts.diffSize,
  entries: facts.entries,
  whiteouts: facts.whiteouts,
  unpackMs: facts.workMs,
  waitMs: facts.waitMs,
  inflateMs: facts.inflateMs,
  hashMs: facts.hashMs,
  writeMs: Math.max(0, facts.workMs - facts.inflateMs - facts.hashMs),
  // Both are known when it has its place.
  queuedMs: 0,
  belowMs: 0,
  warnings: facts.warnings,
  ...times,
})
