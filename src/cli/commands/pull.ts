/** `pull` and `plan`: what the registry has, and how it gets here. */
import type { Command } from 'commander'
import { fail } from '../../failure/failure.ts'
import { formatPlatform } from '../../platform/platform.ts'
import { wantedPlatform } from '../../platform/wanted.ts'
import type { LayerReport, PullEvent, PullPlan } from '../../pull/pull.ts'
import type { Ask } from '../backend.ts'
import { failureDocument, planDocument, reportDocument, rounded } from '../documents.ts'
import { loginFrom, type Options, switchOption, textOption } from '../options.ts'
import { jsonLine, print } from '../output.ts'
import type { PullView } from '../progress/model.ts'
import { jsonView, silentView, viewFor } from '../progress/view.ts'
import { type Session, warn } from '../session.ts'
import { bytes, facts, shortDigest, table } from '../text.ts'

export function addPull(program: Command, session: Session): void {
  asking(program.command('pull').description('pull an image: verified layer by layer, visible once it is whole'))
    .option('--json', 'write every event to stdout as one line of JSON')
    .option('-q, --quiet', 'no progress, only the result')
    .addHelpText(
      'after',
      `
The image's id goes to stdout, progress to stderr. The same image pulled by others at the same time is pulled once.
Without a login on the command line, the one of your own files is used: auth.json of podman, config.json of docker, with the
helpers they name; where they have none for this registry, the daemon's own, if it has any.
With --json, a layer is named by its place in the plan's layers, from 0, and the last event is done or failed.

Examples:
  windlass pull debian:12
  windlass pull --platform linux/arm64 registry.example/app:v2
  windlass pull --creds-stdin registry.example/app:v2 < user-and-password
  windlass --root ./images pull debian:12        # no daemon needed
  windlass pull --json debian:12 | jq 'select(.type == "layer")'`,
    )
    .action(async (image: string, options: Options) => {
      if (!switchOption(options, 'json')) return await pull(session, await askOf(session, image, options), options)
      if (session.format() === 'yaml') fail({ kind: 'invalid-argument', what: '--json', reason: 'give it or -o yaml, not both' })
      try {
        await pull(session, await askOf(session, image, options), options)
      } catch (error) {
        session.io.stdout.write(jsonLine(failureDocument(error)))
        throw error
      }
    })
}

export function addPlan(program: Command, session: Session): void {
  asking(program.command('plan').description('show what a pull would fetch, without moving a layer'))
    .addHelpText(
      'after',
      `
Examples:
  windlass plan debian:12
  windlass -o json plan --platform linux/arm64 debian:12`,
    )
    .action(async (image: string, options: Options) => {
      const { io, signal } = session
      const ask = await askOf(session, image, options)
      await using backend = await session.backendWithImages()
      const plan = await backend.plan(ask, { signal })
      await print(io, session.format(), planDocument(plan), () => planForPeople(plan))
    })
}

const asking = (command: Command): Command =>
  command
    .argument('<image>', 'image reference, as in a pod: name[:tag] or name@digest')
    .option('--platform <os/arch[/variant]>', "pull for this platform instead of the node's own")
    .option('--creds <user:password>', 'log in to the registry (other users of this machine can see it)')
    .option('--creds-stdin', 'read user:password from stdin')
    .option('--authfile <file>', 'take the login from this file of docker, podman or Kubernetes [REGISTRY_AUTH_FILE]')

async function askOf({ io, signal }: Session, reference: string, options: Options): Promise<Ask> {
  const platform = textOption(options, 'platform')
  const credentials = await loginFrom(options, io, reference, { signal, warn: (text) => warn(io, text) })
  // Before anything is asked or opened; whoever answers would refuse it too.
  if (platform !== undefined) wantedPlatform(platform)
  return { reference, credentials, ...(platform === undefined ? {} : { platform }) }
}

/** What a pull leaves to say, as `-o json` and `-o yaml` print it. */
type Outcome = {
  readonly imageId: string
  readonly reference: string
  readonly platform?: string
  readonly bytesFetched: number
  readonly layers: readonly LayerReport[]
  readonly ms?: number
  readonly verdict?: string
}

async function pull(session: Session, ask: Ask, options: Options): Promise<void> {
  const { io, signal } = session
  const json = switchOption(options, 'json')
  await using backend = await session.backend()
  const seen: PullEvent[] = []
  const imageId = await (async () => {
    using view: PullView = json ? jsonView(io) : switchOption(options, 'quiet') ? silentView : viewFor(io, ask.reference)
    return await backend.pull(ask, {
      signal,
      onEvent: (event) => {
        if (event.type !== 'progress') seen.push(event)
        view.event(event)
      },
    })
  })()
  if (json) return
  await print(io, session.format(), outcome(imageId, ask.reference, seen), () => `${imageId}\n`)
}

function outcome(imageId: string, asked: string, events: readonly PullEvent[]): Outcome {
  const plan = events.find((event) => event.type === 'planned')?.plan
  const done = events.findLast((event) => event.type === 'done')
  // They end in any order; each is told by its place in the image.
  const layers = events
    .flatMap((event) => (event.type === 'layer' ? [event] : []))
    .toSorted((one, other) => one.layer - other.layer)
    .map(({ layer: index, report }) => ({ ...namesOf(plan?.layers[index]), ...reportDocument(report) }))
  return {
    imageId,
    reference: plan?.reference ?? asked,
    ...(plan === undefined ? {} : { platform: formatPlatform(plan.platform) }),
    bytesFetched: layers.reduce((sum, { origin, blobSize }) => sum + (origin === 'registry' ? blobSize : 0), 0),
    layers,
    ...(done === undefined ? {} : { ms: rounded(done.ms), verdict: done.verdict }),
  }
}

const namesOf = (layer: PullPlan['layers'][number] | undefined) =>
  layer === undefined ? {} : { digest: layer.blob.digest, diffId: layer.diffId }

const ORIGIN = { here: 'here already', copy: 'copied on this node', registry: 'to fetch' } as const

function planForPeople(plan: PullPlan): string {
  const head = facts([
    ['Image', plan.reference],
    ['Platform', formatPlatform(plan.platform)],
    ['Id', plan.imageId],
    ['Manifest', plan.manifest.digest],
    ['Here', plan.present ? 'yes, nothing to do' : 'no'],
    ['To fetch', bytes(plan.bytesToFetch)],
    ['Here already', bytes(plan.bytesHere)],
  ])
  const rows = plan.layers.map(({ blob, origin }, index) => [
    String(index + 1),
    shortDigest(blob.digest),
    bytes(blob.size),
    ORIGIN[origin],
  ])
  return rows.length === 0 ? head : `${head}\n${table(['LAYER', 'DIGEST', 'SIZE', 'BYTES'], rows)}`
}
