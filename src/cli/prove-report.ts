/** How a comparison with a node's containerd is told: while it goes on, for people, and for programs. */
import type { Progress, Proof } from '../prove/prove.ts'
import { type Cost, type Round, ratioOf, type Verdict } from '../prove/verdict.ts'
import { rounded } from './documents.ts'
import { bytes, plural, printable } from './text.ts'

/** Below this, what Windlass starts for its first pull is much of the time. */
const SMALL = 100e6

const costs = ({ seconds, cpuSeconds }: Cost): string => `${seconds.toFixed(2)} s (CPU ${cpuSeconds.toFixed(1)} s)`
const both = ({ windlass, containerd }: Round): string => `windlass ${costs(windlass)}  containerd ${costs(containerd)}`
/** No more than a terminal is wide. */
const roundLine = (round: Round, at: number): string => `round ${at + 1}    ${both(round)}`
const told = (line: string, ratio: number): string => `${line}  ${ratio.toFixed(2)} times as long`

const DOING = {
  windlass: 'Windlass pulls',
  containerd: 'containerd pulls',
  comparing: 'comparing the trees',
  removing: 'removing what was pulled',
} as const satisfies Record<Progress['doing'], string>

/** What is over, and what is under way since so many milliseconds. */
export const progressLines = ({ rounds, at, of, doing }: Progress, sinceMs: number): readonly string[] => [
  ...rounds.map(roundLine),
  `round ${at}/${of}  ${DOING[doing]}, ${Math.floor(sinceMs / 1000)} s`,
]

export function proofForPeople(proof: Proof): string {
  const { reference, platform, layers, bytes: size, containerd, countsContainerd, rounds, verdict, tree } = proof
  const unseen = countsContainerd ? '' : '; its process is not seen from here, and its CPU not counted'
  return [
    `image      ${printable(reference)} ${platform}, ${plural(layers, 'layer')}, ${bytes(size)}`,
    `containerd ${printable(containerd.version)} at ${containerd.socket}${unseen}`,
    ...rounds.map((round, at) => told(roundLine(round, at), ratioOf(round))),
    ...(rounds.length === 1 ? [] : [told(`median     ${both(verdict.medians)}`, verdict.ratio)]),
    `verdict    ${verdictInWords(verdict)}`,
    ...warningsOf(proof).map((line) => `warning    ${line}`),
    `trees      ${treesInWords(tree)}`,
    ...tree.differences.map((line) => `           ${printable(line)}`),
    'removed    all that was pulled, and the namespaces',
    '',
  ].join('\n')
}

export function verdictInWords({ faster, ratio, ratios }: Verdict): string {
  const times = (value: number): string => `${value.toFixed(2)} times as long`
  const spread = (values: readonly number[]): string => {
    const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(2))
    return values.length === 1 ? '' : `; ${least} to ${most}, round by round`
  }
  if (faster === 'windlass') return `Windlass was faster: containerd took ${times(ratio)}${spread(ratios)}`
  const slower = ratios.map((each) => 1 / each)
  if (faster === 'containerd') return `Windlass was slower: it took ${times(1 / ratio)} as containerd${spread(slower)}`
  return `neither was faster: containerd took ${times(ratio)}${spread(ratios)}`
}

/** What keeps these figures from saying much. */
export function warningsOf({ bytes: size, rounds, load: { before, cpus } }: Proof): readonly string[] {
  const small = `${bytes(size)} is a small image: what Windlass starts for its first pull, and a daemon has running, is much of its time; take one of ${bytes(SMALL)} or more`
  const busy = `the machine was busy before it began, load ${before.toFixed(1)} on ${plural(cpus, 'CPU')}: others' work is in these times`
  return [
    ...(rounds.length === 1 ? ['one round does not tell a difference from chance: take --runs 3 or more'] : []),
    ...(size < SMALL ? [small] : []),
    ...(before > cpus / 2 ? [busy] : []),
  ]
}

function treesInWords({ entries, count, directoryTimes }: Proof['tree']): string {
  const directories = directoryTimes === 1 ? 'a directory' : `${directoryTimes} directories`
  const times = `the time of ${directories} that no layer lists: containerd takes that of the pull`
  if (count > 0) return `${plural(count, 'difference')} in ${entries} entries${directoryTimes === 0 ? '' : `, and ${times}`}`
  return `${entries} entries, the same in both${directoryTimes === 0 ? '' : `, but for ${times}`}`
}

const costDocument = ({ seconds, cpuSeconds }: Cost): Cost => ({ seconds: rounded(seconds), cpuSeconds: rounded(cpuSeconds) })
const roundDocument = ({ windlass, containerd }: Round): Round => ({
  windlass: costDocument(windlass),
  containerd: costDocument(containerd),
})

export function proofDocument({ rounds, verdict, ...proof }: Proof) {
  const { medians, ratios, ratio, faster } = verdict
  return {
    ...proof,
    rounds: rounds.map(roundDocument),
    medians: roundDocument(medians),
    ratios: ratios.map(rounded),
    ratio: rounded(ratio),
    faster,
    warnings: warningsOf({ rounds, verdict, ...proof }),
  }
}
