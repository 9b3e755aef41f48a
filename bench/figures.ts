/** Figures of runs, and what is made of them. */
import type { ContenderName } from './contender.ts'
import type { Floor } from './floor.ts'
import type { BenchImage } from './images/images.ts'
import type { Case } from './plan.ts'

/** One cold pull. CPU and memory are the daemon's and its children's, memory the most at one moment; `writtenBytes` where there is a device. */
export type Measured = {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakRssBytes: number
  readonly writtenBytes: number | undefined
}
/** One run of everybody, in turn. */
export type Round = ReadonlyMap<ContenderName, Measured>

export type CaseFigures = {
  readonly case: Case
  readonly image: BenchImage
  readonly floor: Floor
  readonly rounds: readonly Round[]
  /** Load average of the machine, before and after. */
  readonly load: readonly [number, number]
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const [low, high] = [sorted[(sorted.length - 1) >> 1] ?? Number.NaN, sorted[sorted.length >> 1] ?? Number.NaN]
  return (low + high) / 2
}

export type Measure = 'seconds' | 'cpuSeconds' | 'peakRssBytes' | 'writtenBytes'

/** Of one who took part; undefined where it was not measured. */
export function medianOf(rounds: readonly Round[], name: ContenderName, measure: Measure): number | undefined {
  const values = valuesOf(rounds, name, measure).flatMap((value) => value ?? [])
  return values.length === 0 ? undefined : median(values)
}

/** `name`'s by the first one's, round by round. */
export function ratios(rounds: readonly Round[], first: ContenderName, name: ContenderName, measure: Measure): number[] {
  const ours = valuesOf(rounds, first, measure)
  return valuesOf(rounds, name, measure).flatMap((theirs, at) => {
    const mine = ours[at]
    return theirs === undefined || mine === undefined || mine === 0 ? [] : [theirs / mine]
  })
}

const valuesOf = (rounds: readonly Round[], name: ContenderName, measure: Measure): (number | undefined)[] =>
  rounds.map((round) => round.get(name)?.[measure])
