/** Reads generated archives with every reader there is and counts how they agree. */
import { compare } from './compare.ts'
import { type Case, generate } from './generate.ts'
import { readOurs } from './ours.ts'
import { gnuTar, type Reader } from './readers.ts'

export type Tally = {
  cases: number
  agreed: number
  /** Refusals by their reason, its numbers left out. */
  readonly refused: Map<string, number>
  readonly known: Map<string, number>
  readonly disagreements: { readonly case: Case; readonly at: string }[]
}

/** Cases of one run have seeds of their own, so that any of them can be made again. */
const SPREAD = 1_000_003

/** `readers` are Python and, if there is one, Go. */
export async function run(
  count: number,
  seed: number,
  readers: readonly Reader[],
  each: (tally: Tally) => void = () => {},
): Promise<Tally> {
  const tally: Tally = { cases: 0, agreed: 0, refused: new Map(), known: new Map(), disagreements: [] }
  for (; tally.cases < count; tally.cases++, each(tally))
    await readOne(generate(seed * SPREAD + tally.cases), [gnuTar, ...readers], tally)
  return tally
}

async function readOne(made: Case, readers: readonly Reader[], tally: Tally): Promise<void> {
  const ours = readOurs(made.archive)
  if (ours.refusal !== undefined) return count(tally.refused, ours.refusal.replace(/-?\d+/g, 'N'))
  const accounts = await Promise.all(readers.map(async (reader) => compare(ours, await reader.read(made.archive), reader.name)))
  let agreed = true
  for (const verdict of accounts) {
    if (verdict.kind === 'disagree') tally.disagreements.push({ case: made, at: verdict.at })
    if (verdict.kind === 'known') for (const what of verdict.differences) count(tally.known, what)
    agreed &&= verdict.kind === 'agree'
  }
  if (agreed) tally.agreed++
}

const count = (into: Map<string, number>, what: string): void => void into.set(what, (into.get(what) ?? 0) + 1)

/** The table a run closes with. */
export function table(tally: Tally, seed: number, readers: readonly Reader[]): string {
  const rows = (title: string, counts: ReadonlyMap<string, number>): string[] =>
    [...counts]
      .sort(([, a], [, b]) => b - a)
      .map(([what, times], at) => `${(at === 0 ? title : '').padEnd(10)} ${String(times).padStart(6)}  ${what}`)
  const refused = tally.refused.values().reduce((sum, times) => sum + times, 0)
  const known = tally.cases - refused - tally.agreed - new Set(tally.disagreements.map((each) => each.case)).size
  return [
    ...tally.disagreements.map(({ case: { seed: own, odd }, at }) => `DISAGREE   seed ${own} [${odd.join(', ')}]\n${at}`),
    ...rows('refused', tally.refused),
    ...rows('known', tally.known),
    `${tally.cases} archives, seed ${seed}, read by us, GNU tar${readers.map(({ name }) => `, ${name}`).join('')}`,
    `${tally.agreed} read alike, ${refused} refused, ${known} with known differences, ${tally.disagreements.length} disagreements`,
  ].join('\n')
}
