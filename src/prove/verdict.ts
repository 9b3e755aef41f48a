/** What rounds come to: medians, how far the rounds are apart, and who was faster, if anybody was in all of them. */

/** CPU: of this process, of containerd, and of what either has started. */
export type Cost = { readonly seconds: number; readonly cpuSeconds: number }
export type Round = { readonly windlass: Cost; readonly containerd: Cost }

export type Verdict = {
  /** Of each figure by itself. */
  readonly medians: Round
  /** How many times as long containerd took, within each round; the median of them. */
  readonly ratios: readonly number[]
  readonly ratio: number
  readonly faster: 'windlass' | 'containerd' | 'neither'
}

/** Less than this is nobody's advantage. */
const ALIKE = 0.03

export function verdictOf(rounds: readonly Round[]): Verdict {
  const ratios = rounds.map(ratioOf)
  const ratio = median(ratios)
  const cost = (who: keyof Round): Cost => ({
    seconds: median(rounds.map((round) => round[who].seconds)),
    cpuSeconds: median(rounds.map((round) => round[who].cpuSeconds)),
  })
  return {
    medians: { windlass: cost('windlass'), containerd: cost('containerd') },
    ratios,
    ratio,
    faster: fasterBy(ratios, ratio),
  }
}

export const ratioOf = ({ windlass, containerd }: Round): number => containerd.seconds / windlass.seconds

function fasterBy(ratios: readonly number[], ratio: number): Verdict['faster'] {
  if (Math.abs(ratio - 1) < ALIKE) return 'neither'
  if (ratios.every((each) => each > 1)) return 'windlass'
  return ratios.every((each) => each < 1) ? 'containerd' : 'neither'
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return ((sorted[(sorted.length - 1) >> 1] ?? 0) + (sorted[sorted.length >> 1] ?? 0)) / 2
}
