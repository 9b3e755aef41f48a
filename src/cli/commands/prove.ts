/** `prove`: what Windlass is worth on this node, measured against its containerd. */
import { type Command, InvalidArgumentError } from 'commander'
import { fail } from '../../failure/failure.ts'
import type { Progress, Proof, ProveAsk } from '../../prove/prove.ts'
import { Interrupted, textOf } from '../failures.ts'
import { isLive } from '../io.ts'
import { numberOption, type Options, runtimeEndpointOption, runtimeFlags, runtimeOption } from '../options.ts'
import { print } from '../output.ts'
import { showLive } from '../progress/screen.ts'
import { progressLines, proofDocument, proofForPeople } from '../prove-report.ts'
import type { RuntimeFlags, Session } from '../session.ts'
import { plural } from '../text.ts'

export function addProve(program: Command, session: Session): void {
  program
    .command('prove')
    .description("pull an image with Windlass and with this node's containerd in turn; compare times, CPU and trees")
    .argument('<image>', 'image reference: name[:tag] or name@digest')
    .option('--runs <count>', 'rounds, in each of which first Windlass pulls and then containerd', runsOption, 3)
    .addOption(runtimeOption())
    .addOption(runtimeEndpointOption())
    .addHelpText(
      'after',
      `
Each pull goes into a namespace of its own in that containerd, which kubelet
does not see, and is removed again, also at Ctrl-C: content, snapshots, leases,
the namespace. What a kill -9 leaves, the next run removes. containerd pulls by
its own client, ctr, with all layers at once. CPU is that of both programs, of
containerd itself, and of what they start, so other pulls meanwhile count too.
Take an image that this node has not got, and that anyone may pull, of 100 MB or
more: what Windlass starts for its first pull, which a daemon has running, counts,
and is most of the time of a small one. Every round fetches it twice. Who was
faster is told by the medians, if the rounds agree on it, with the least and the
most of them; a load that others make, a small image and a single round are
warned of. Needs root and room for the image twice; asks no daemon. Exit code 1
if the trees differ.

Examples:
  windlass prove debian:12
  windlass prove --runs 5 registry.example/app:v2
  windlass -o json prove debian:12 | jq '.faster, .ratio, .ratios'`,
    )
    .action(async (image: string, options: Options) => {
      const ask = { reference: image, rounds: numberOption(options, 'runs') ?? 3 }
      const proof = await proved(session, runtimeFlags(options), ask)
      await print(session.io, session.format(), proofDocument(proof), () => proofForPeople(proof))
      if (proof.tree.count > 0)
        fail({
          kind: 'internal',
          what: `the two trees differ, ${plural(proof.tree.count, 'attribute')} in all; please report it`,
        })
    })
}

function runsOption(text: string): number {
  const count = Number(text)
  if (/^[1-9]\d?$/.test(text)) return count
  throw new InvalidArgumentError('want a number from 1 to 99')
}

/** Throws Interrupted where it was stopped: by then all is put away, or it says why not. */
async function proved(session: Session, runtime: RuntimeFlags, ask: ProveAsk): Promise<Proof> {
  try {
    return await shown(session, (onProgress) => session.prove(runtime, ask, onProgress))
  } catch (error) {
    if (!session.signal.aborted) throw error
    // Nothing but putting it away can fail beside what the stop made fail.
    if (!(error instanceof SuppressedError)) throw new Interrupted('everything it made is removed', { cause: error })
    throw new Interrupted(`not all that it made is removed (${textOf(error.error)}); the next run removes it`, { cause: error })
  }
}

type Prove = (onProgress: (now: Progress) => void) => Promise<Proof>

/** Step by step on a terminal; elsewhere the result is all there is to read. */
async function shown({ io }: Session, prove: Prove): Promise<Proof> {
  if (!isLive(io.stderr, io.env)) return await prove(() => {})
  type Shown = { readonly now: Progress; readonly since: number } | undefined
  const draw = (seen: Shown) => (seen === undefined ? [] : progressLines(seen.now, performance.now() - seen.since))
  return await showLive<Shown, Proof>(io.stderr, undefined, draw, (onChange) =>
    prove((now) => onChange({ now, since: performance.now() })),
  )
}
