/** Whether two accounts of an archive agree, and where they do not, whether that is a difference we know. */
import { type Difference, differences } from './differences.ts'
import { type Account, show } from './member.ts'
import type { OurAccount, Seen } from './ours.ts'
import type { Reader } from './readers.ts'

export type Verdict =
  | { readonly kind: 'agree' }
  | { readonly kind: 'known'; readonly differences: ReadonlySet<string> }
  | { readonly kind: 'disagree'; readonly at: string }

/** `ours` was accepted; anything `theirs` has otherwise must be a known difference of that reader. */
export function compare({ seen }: OurAccount, theirs: Account, reader: Reader['name']): Verdict {
  const own = differences.filter((difference) => difference.reader === reader)
  const met = new Set<string>()
  const name = ({ what }: Difference): string => `${reader} ${what}`
  for (const [index, each] of seen.entries()) {
    const lost = own.find(({ loses }) => loses?.(each))
    if (lost !== undefined) return { kind: 'known', differences: met.add(name(lost)) }
    const other = theirs.members[index]
    if (other === undefined) return { kind: 'disagree', at: `${reader} ends before ${show(each.member)}: ${theirs.error}` }
    if (show(each.member) !== show(other)) {
      const known = own.find(({ explains }) => explains?.(each, other))
      if (known === undefined) return { kind: 'disagree', at: `ours: ${show(each.member)}\n${reader}: ${show(other)}` }
      met.add(name(known))
    }
    const end = own.find(({ ends }) => ends?.(each))
    if (end !== undefined) return { kind: 'known', differences: met.add(name(end)) }
  }
  const more = theirs.members[seen.length]
  if (more !== undefined) return { kind: 'disagree', at: `${reader} has more: ${show(more)}` }
  if (theirs.error !== undefined && !explainsError(own, theirs.error, seen, (known) => met.add(name(known))))
    return { kind: 'disagree', at: `${reader} fails: ${theirs.error}` }
  return met.size === 0 ? { kind: 'agree' } : { kind: 'known', differences: met }
}

function explainsError(
  own: readonly Difference[],
  error: string,
  seen: readonly Seen[],
  met: (known: Difference) => void,
): boolean {
  const known = own.find(({ complains }) => complains?.(error, seen))
  if (known !== undefined) met(known)
  return known !== undefined
}
