/** What verifications have found of the layers that are here. */
import { type Finding, ok, warn } from './finding.ts'

/** A layer that is known to be damaged, and the first thing that is wrong with it. */
export type KnownDamage = { readonly id: string; readonly first: string }

export function layerFindings(damaged: readonly KnownDamage[]): readonly Finding[] {
  const [worst, ...others] = damaged
  if (worst === undefined) return [ok('layers', 'none is known to be damaged; windlass verify looks at every file')]
  const more = others.length === 0 ? '' : ` and ${others.length} more`
  const mend = 'windlass verify --repair brings them again'
  return [warn('layers', `${worst.id.slice(0, 12)} is damaged (${worst.first})${more}: ${mend}`)]
}
