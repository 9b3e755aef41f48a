/** `prove`: what Windlass is worth on this node, measured against its containerd. */
import { type Command, InvalidArgumentError } from 'commander'
import { fail } from '../../failure/failure.ts'
import type { Proof, Round } from '../../prove/prove.ts'
import { rounded } from '../documents.ts'
import { numberOption, type Options, runtimeEndpointOption, runtimeFlags, runtimeOption } from '../options.ts'
import { print } from '../output.ts'
import { note, type Session } from '../session.ts'
import { bytes, plural, printable } from '../text.ts'

export function addProve(program: Command, session: Session): void {
  program
    .command('prove')
    .description("pull an image with Windlass and with this node's containerd in turn; compare times, CPU and trees")
    .argument('<image>', 'image reference: name[:tag] or name@digest')
    .option('--runs <count>', 'as many times each', runsOption, 1)
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
and is most of the time of a small one. Needs root and room for the image twice;
asks no daemon. Exit code 1 if the trees differ.

Examples:
  windlass prove debian:12
  windlass prove --runs 3 registry.example/app:v2
  windlass -o json prove debian:12 | jq .ratio`,
    )
    .action(async (image: string, options: Options) => {
      const { io } = session
      const ask = { reference: image, rounds: numberOption(options, 'runs') ?? 1 }
      const proof = await session.prove(runtimeFlags(options), ask, (round, at) => note(io, roundLine(round, at)))
      await print(io, session.format(), proofDocument(proof), () => proofForPeople(proof))
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

const costs = ({ seconds, cpuSeconds }: Round['windlass']): string => `${seconds.toFixed(2)} s (CPU ${cpuSeconds.toFixed(1)} s)`

const roundLine = ({ windlass, containerd }: Round, at: number): string =>
  `round ${at}    windlass ${costs(windlass)}  containerd ${costs(containerd)}  ${(containerd.seconds / windlass.seconds).toFixed(2)} times as long`

function proofForPeople({ reference, platform, layers, bytes: size, containerd, countsContainerd, ratio, tree }: Proof): string {
  const { entries, count, differences, directoryTimes } = tree
  // Those that no layer lists have the time of their making in containerd, and the lower layer's in Windlass.
  const times = directoryTimes === 0 ? '' : `; directories with another time alone: ${directoryTimes}`
  return [
    `image      ${printable(reference)} ${platform}, ${plural(layers, 'layer')}, ${bytes(size)}`,
    `containerd ${printable(containerd.version)} at ${containerd.socket}${countsContainerd ? '' : '; its process is not seen from here, and its CPU not counted'}`,
    `times      containerd takes ${ratio.toFixed(2)} times as long`,
    `trees      ${count === 0 ? `${entries} entries, the same in both` : `${count} differences in ${entries} entries`}${times}`,
    ...differences.map((line) => `           ${printable(line)}`),
    'removed    all that was pulled, and the namespaces',
    '',
  ].join('\n')
}

const costDocument = ({ seconds, cpuSeconds }: Round['windlass']) => ({
  seconds: rounded(seconds),
  cpuSeconds: rounded(cpuSeconds),
})

const proofDocument = ({ rounds, ratio, ...proof }: Proof) => ({
  ...proof,
  rounds: rounds.map(({ windlass, containerd }) => ({ windlass: costDocument(windlass), containerd: costDocument(containerd) })),
  ratio: rounded(ratio),
})
