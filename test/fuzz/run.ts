/** Attacks with one layer after the other and keeps count. */
import type { Arena, Outcome, Wrong } from './arena.ts'
import { makeLayer } from './layer.ts'

export type Finding = Wrong & { readonly seed: number; readonly did: readonly string[] }
export type Tally = { cases: number; readonly ends: Map<string, number>; readonly findings: Finding[]; slowestMs: number }

export const newTally = (): Tally => ({ cases: 0, ends: new Map(), findings: [], slowestMs: 0 })

/** Cases of one run have seeds of their own, so that any of them can be made again. */
export const seedOf = (run: number, at: number): number => run * 1_000_003 + at
/** By then the workers are up and have opened what they keep. */
const WARM = 60
const LOOK_EVERY = 50

export async function runArena(arena: Arena, count: number, seed: number, tally: Tally): Promise<void> {
  let usual: number | undefined
  for (let at = 0; at < count; at++) {
    const layer = makeLayer(seedOf(seed, at), arena.targets)
    const start = performance.now()
    note(tally, layer.seed, layer.did, await arena.attack(layer))
    tally.slowestMs = Math.max(tally.slowestMs, performance.now() - start)
    if (at < WARM || at % LOOK_EVERY !== 0) continue
    const now = arena.descriptors()
    usual ??= now
    if (now > usual) {
      tally.findings.push({ kind: 'leak', detail: `${now} descriptors, ${usual} before`, seed: layer.seed, did: layer.did })
      usual = now
    }
  }
}

export function note(tally: Tally, seed: number, did: readonly string[], { end, wrong }: Outcome): void {
  tally.cases++
  tally.ends.set(end, (tally.ends.get(end) ?? 0) + 1)
  tally.findings.push(...wrong.map((each) => ({ ...each, seed, did })))
}

/** The table a run closes with. */
export function table(title: string, { cases, ends, findings, slowestMs }: Tally): string {
  const found = (kind: Wrong['kind']): number => findings.filter((finding) => finding.kind === kind).length
  return [
    ...findings.map(({ kind, detail, seed, did }) => `FOUND      ${kind}, seed ${seed} [${did.join(', ')}]: ${detail}`),
    `${title}: ${cases} cases, the slowest took ${(slowestMs / 1000).toFixed(1)} s`,
    ...[...ends].sort(([, a], [, b]) => b - a).map(([end, times]) => `${String(times).padStart(8)}  ${end}`),
    `${found('escape')} escapes, ${found('crash')} crashes, ${found('hang')} hangs, ${found('leftover')} leftovers, ${found('replay')} bad replays, ${found('leak')} leaks`,
  ].join('\n')
}
