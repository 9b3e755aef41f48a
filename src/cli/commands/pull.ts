/** `pull` and `plan`: what the registry has, and how it gets here. */
import { type Command, InvalidArgumentError } from 'commander'
import { fail } from '../../failure/failure.ts'
import { formatPlatform } from '../../platform/platform.ts'
import { wantedPlatform } from '../../platform/wanted.ts'
import type { PullPlan } from '../../pull/pull.ts'
import type { PullReport } from '../../pull/report.ts'
import { MAX_EXPIRY_MS, MIN_EXPIRY_MS, noExpiries } from '../../store/expiry.ts'
import type { Ask, Backend, PullAsk } from '../backend.ts'
import { failureDocument, historyDocument, planDocument } from '../documents.ts'
import { kindOf, textOf } from '../failures.ts'
import { durationOption, loginFrom, numberOption, type Options, switchOption, textOption } from '../options.ts'
import { jsonLine, print } from '../output.ts'
import type { PullView } from '../progress/model.ts'
import { jsonView, silentView, viewFor } from '../progress/view.ts'
import { reportForPeople } from '../pull-report.ts'
import { type Outcome, PullStory } from '../pull-story.ts'
import { note, type Session, warn } from '../session.ts'
import { bytes, facts, shortDigest, table } from '../text.ts'
import { TraceFile } from '../trace-file.ts'

export function addPull(program: Command, session: Session): void {
  asking(program.command('pull').description('pull an image: verified layer by layer, visible once it is whole'))
    .option('--json', 'write every event to stdout as one line of JSON')
    .option('-q, --quiet', 'no progress, only the result')
    .option('--report', 'tell where the time went, layer by layer, once it has ended')
    .option('--trace <file>', 'write where the time went as trace events, which ui.perfetto.dev opens')
    .option('--expires <duration>', 'let the image go by itself after this time, such as 24h; beside containerd', expiresOption)
    .addHelpText(
      'after',
      `
The image's id goes to stdout, progress to stderr. The same image pulled by others at the same time is pulled once.
Without a login on the command line, the one of your own files is used: auth.json of podman, config.json of docker, with the
helpers they name; where they have none for this registry, the daemon's own, if it has any.
--expires is for images pulled ahead of any pod. Where the image was here for good before, it stays so; a time it had gives way to a
later one; a pull without --expires, kubelet's or yours, takes the time away. A pod that finds the image there (IfNotPresent) does not
pull: it takes nothing away. containerd 2.1.9 removes such an image with its first collection after the time; 1.6 and 1.7 leave it.
--report goes to stderr; with -o json or yaml it is part of the result. windlass history ID has the same of every pull, later too.
With -o json or yaml the result of a pull that fails has failure in place of imageId; the exit code is 1 all the same.
--trace writes the file for a pull that fails, too. Its clock begins with the pull, also for who joins one under way.
With --json, a layer is named by its place in the plan's layers, from 0, and the last event is done or failed.

Examples:
  windlass pull debian:12
  windlass pull --platform linux/arm64 registry.example/app:v2
  windlass pull --creds-stdin registry.example/app:v2 < user-and-password
  windlass --root ./images pull debian:12        # no daemon needed
  windlass pull --expires 24h registry.example/tomorrow:v3
  windlass pull --report debian:12
  windlass pull --trace pull.json debian:12      # open pull.json in ui.perfetto.dev
  windlass pull --json debian:12 | jq 'select(.type == "layer")'`,
    )
    .action(async (image: string, options: Options) => {
      if (!switchOption(options, 'json')) return await pull(session, await pullAskOf(session, image, options), options)
      if (session.format() === 'yaml') fail({ kind: 'invalid-argument', what: '--json', reason: 'give it or -o yaml, not both' })
      try {
        await pull(session, await pullAskOf(session, image, options), options)
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

/** A root of one's own is refused before it is made. */
async function pullAskOf(session: Session, reference: string, options: Options): Promise<PullAsk> {
  const expiresAfterMs = numberOption(options, 'expires')
  if (expiresAfterMs !== undefined && session.ownRoot()) fail(noExpiries)
  const ask = await askOf(session, reference, options)
  return expiresAfterMs === undefined ? ask : { ...ask, expiresAfterMs }
}

function expiresOption(text: string): number {
  const value = durationOption(text)
  if (value >= MIN_EXPIRY_MS && value <= MAX_EXPIRY_MS) return value
  throw new InvalidArgumentError('want a minute at least, and a hundred years at most')
}

async function pull(session: Session, ask: PullAsk, options: Options): Promise<void> {
  const { io, signal } = session
  const file = textOption(options, 'trace')
  await using trace = file === undefined ? undefined : await TraceFile.create(file)
  await using backend = await session.backend()
  const story = new PullStory(ask.reference)
  const imageId = await (async () => {
    using view = viewOf(session, ask, options)
    return await backend.pull(ask, {
      signal,
      onEvent: (event, atMs) => {
        story.hear(event)
        trace?.hear(event, atMs)
        view.event(event)
      },
    })
  })().catch(async (error: unknown) => {
    const failure = { kind: kindOf(error) ?? 'unknown', message: textOf(error) }
    const failed = story.report(failure)
    // Why there is no image matters more than why there is no trace.
    await trace?.write(failed).catch((lost: unknown) => warn(io, `no trace: ${textOf(lost)}`))
    await tell(session, options, failed, { ...story.outcome(failed), failure: failed.failure ?? failure }, '')
    throw error
  })
  const report = story.report()
  await trace?.write(report)
  const expiry = ask.expiresAfterMs === undefined ? {} : await expiryOf(session, backend, imageId)
  await tell(session, options, report, { imageId, ...story.outcome(report), ...expiry }, `${imageId}\n`)
}

function viewOf({ io }: Session, { reference }: PullAsk, options: Options): PullView {
  if (switchOption(options, 'json')) return jsonView(io)
  return switchOption(options, 'quiet') ? silentView : viewFor(io, reference)
}

type Result = Outcome &
  ({ readonly imageId: string; readonly expiresAt?: Date } | { readonly failure: NonNullable<PullReport['failure']> })

/** What is left to say of a pull that has ended, well or not. With --json every event has been told already. */
async function tell(session: Session, options: Options, report: PullReport, result: Result, forPeople: string): Promise<void> {
  const { io } = session
  const [json, wantsReport, format] = [switchOption(options, 'json'), switchOption(options, 'report'), session.format()]
  if (wantsReport && (json || format === 'table')) io.stderr.write(`\n${reportForPeople(report)}`)
  if (json) return
  // Its layers are the result's, which says more of them.
  const { layers: _, ...document } = historyDocument(report)
  await print(io, format, wantsReport ? { ...result, report: document } : result, () => forPeople)
}

/** What has become of the time that was asked for. */
async function expiryOf({ io, signal }: Session, backend: Backend, imageId: string): Promise<{ readonly expiresAt?: Date }> {
  const { expiresAt } = await backend.inspect(imageId, { signal })
  if (expiresAt !== undefined) {
    note(io, `expires    ${expiresAt.toISOString()}, where containerd is of a version that removes images by their time`)
    return { expiresAt }
  }
  warn(io, 'the image stays: it was here for good before, is pinned, or was pulled for good by somebody else meanwhile')
  return {}
}

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
