/** The puller of a node: joins callers who ask for the same, bounds how many pulls run, knows what is in flight. */
import { createHash, randomUUID } from 'node:crypto'
import { causeOf } from '../failure/cause.ts'
import { asWindlassError, WindlassError } from '../failure/failure.ts'
import { errorAbout } from '../failure/of-reference.ts'
import type { Platform } from '../oci/oci.ts'
import { formatPlatform } from '../platform/platform.ts'
import { formatReference } from '../reference/parse.ts'
import type { Registry } from '../registry/registry.ts'
import type { Store } from '../store/store.ts'
import { Limiter } from '../task/limiter.ts'
import type { Abortable } from '../task/task.ts'
import type { Unpacker } from '../unpack/unpack.ts'
import { type AheadLimits, Brake } from './brake.ts'
import { checkPull } from './check.ts'
import type { History } from './history.ts'
import { canonical, type Identify } from './identity.ts'
import { PullInFlight } from './in-flight.ts'
import { LayerWork } from './layers.ts'
import { type Log, silent } from './log.ts'
import { type PullObserver, unobserved } from './observer.ts'
import type { Partials } from './partials.ts'
import type { OnPullEvent, Puller, PullPlan, PullRequest, PullResult, PullStatus } from './pull.ts'
import { type PullReport, reportOf } from './report.ts'
import type { Room } from './room.ts'
import { type Crew, planPull, runPull } from './run.ts'
import { type StaleTag, StaleTags } from './stale.ts'

export type PullerOptions = {
  readonly registry: Registry
  readonly store: Store
  readonly unpacker: Unpacker
  /** This node's. */
  readonly platform: Platform
  readonly maxParallelPulls: number
  /** Where what came of layers is kept for a restart; by default it is not. */
  readonly partials?: Partials | undefined
  /** Prefixes of repositories whose tags may be answered with what they named last; by default none may. */
  readonly staleTagsFor?: readonly string[]
  readonly room: Room
  /** What pulls ahead of any pod may take; by default as many layers as others. */
  readonly ahead?: AheadLimits
  /** By default nobody. */
  readonly observer?: PullObserver
  /** Says who a caller is, for receipts; by default none are kept. */
  readonly identify?: Identify
  /** With each pull the registry itself must say that its caller may read the image; by default a mirror's answer, or a HEAD, will do. */
  readonly recheckAccess?: boolean
  /** Where reports of pulls are kept; by default they are not. */
  readonly history?: Pick<History, 'add'>
  readonly log?: Log
}

/** How often progress is looked at while somebody may be watching. */
const SAMPLE_MS = 100

export const createPuller = (options: PullerOptions): Puller => new NodePuller(options)

type Entry = { readonly pull: PullInFlight; readonly result: Promise<PullResult> }
type Watcher = (pulls: readonly PullStatus[]) => void

class NodePuller implements Puller {
  readonly #crew: Crew
  readonly #limiter: Limiter
  readonly #brake: Brake
  readonly #log: Log
  readonly #history: Pick<History, 'add'> | undefined
  readonly #observer: PullObserver
  readonly #entries = new Map<string, Entry>()
  /** Every pull that has not let go of everything yet, those nobody waits for any more included. */
  readonly #running = new Set<Entry>()
  readonly #watchers = new Set<Watcher>()
  #isChanged = false
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor({ registry, store, unpacker, platform, maxParallelPulls, room, observer = unobserved, ...rest }: PullerOptions) {
    const { log = silent, identify, recheckAccess = false, partials, staleTagsFor, history, ahead = { layers: 0 } } = rest
    this.#observer = observer
    this.#history = history
    this.#brake = new Brake(ahead)
    const layers = new LayerWork({ store, unpacker, room, log, partials }, this.#brake, observer.brought)
    const stale = new StaleTags(staleTagsFor)
    this.#crew = { registry, store, platform, room, stale, identify, recheckAccess, layers }
    this.#limiter = new Limiter(maxParallelPulls)
    this.#log = log
  }

  async pull(request: PullRequest, { signal, onEvent }: Abortable & { onEvent?: OnPullEvent }): Promise<PullResult> {
    if (signal.aborted) throw asWindlassError(signal.reason)
    if (this.#isClosed) throw shutdown()
    const { pull, result } = this.#entryFor(request)
    try {
      return await pull.join(result, request, onEvent, signal)
    } catch (error) {
      throw asWindlassError(error)
    }
  }

  async plan(request: PullRequest, options: Abortable): Promise<PullPlan> {
    try {
      return (await planPull(this.#crew, request, options)).plan
    } catch (error) {
      throw errorAbout(formatReference(request.reference), error)
    }
  }

  async check(request: PullRequest, options: Abortable & { readonly from: number }): Promise<void> {
    // Who asks means to take it away: never while we are about to stop.
    if (this.#isClosed) throw shutdown()
    try {
      await checkPull(this.#crew, request, options)
    } catch (error) {
      throw errorAbout(formatReference(request.reference), error)
    }
  }

  inFlight(): readonly PullStatus[] {
    return [...this.#entries.values()].map(({ pull }) => pull.status())
  }

  staleTags(): readonly StaleTag[] {
    return this.#crew.stale.list()
  }

  watch(onChange: Watcher, { signal }: Abortable): void {
    if (signal.aborted) return
    this.#watchers.add(onChange)
    signal.addEventListener('abort', () => this.#watchers.delete(onChange), { once: true })
    onChange(this.inFlight())
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const entries = [...this.#running]
    for (const { pull } of entries) pull.stop(shutdown())
    await Promise.allSettled(entries.map(({ result }) => result))
    clearInterval(this.#timer)
  }

  #entryFor(request: PullRequest): Entry {
    const key = keyOf(request, this.#crew.platform)
    const entry = this.#entries.get(key)
    if (entry !== undefined && !entry.pull.signal.aborted) return entry
    const { platform, layers } = this.#crew
    const pull = new PullInFlight(request, request.platform ?? platform, layers, this.#observer, () => this.#change())
    const started: Entry = { pull, result: this.#run(pull, key) }
    this.#entries.set(key, started)
    this.#running.add(started)
    started.result.catch(() => {}).then(() => this.#running.delete(started))
    return started
  }

  async #run(pull: PullInFlight, key: string): Promise<PullResult> {
    const { id, request, signal } = pull
    const reference = formatReference(request.reference)
    this.#sampleWhileBusy()
    try {
      // The pre-puller bounds its own: they hold up nobody, and whoever joins one of them need not wait.
      using _permit = pull.isUrgent() ? await this.#limiter.acquire({ signal }) : undefined
      using _entered = this.#brake.enter(() => pull.isUrgent())
      this.#log.info({ pull: id, reference, client: request.client }, 'pull started')
      const result = await runPull(this.#crew, request, pull, { signal })
      this.#ended(pull, result)
      return result
    } catch (error) {
      const failure = errorAbout(reference, signal.aborted ? signal.reason : error)
      pull.failed(causeOf(failure.failure))
      const report = this.#told(pull, { kind: failure.failure.kind, message: failure.message })
      this.#log.warn({ pull: id, reference, failure: failure.failure.kind, verdict: report.verdict, err: failure }, 'pull failed')
      pull.ended({ reference: request.reference, result: 'failed', report })
      // Whatever else runs for this pull has lost its purpose.
      pull.stop(failure)
      throw failure
    } finally {
      if (this.#entries.get(key)?.pull === pull) this.#entries.delete(key)
      this.#change()
    }
  }

  #ended(pull: PullInFlight, { image, plan, stale }: PullResult): void {
    const { reference } = pull.request
    const report = this.#told(pull)
    const { ms, verdict } = report
    const fields = { pull: pull.id, reference: plan.reference, image: image.id, ms: Math.round(ms), verdict }
    if (stale === undefined) {
      this.#crew.stale.refreshed(reference)
      this.#log.info(fields, 'pulled')
    } else {
      const digest = plan.root.digest
      this.#crew.stale.answered(reference, digest)
      this.#log.warn({ ...fields, digest, stale: true, err: stale }, 'answered with what this tag named last')
    }
    const isHere = report.layers.every(({ origin }) => origin === 'here')
    pull.ended({ reference, result: stale !== undefined ? 'stale' : isHere ? 'here' : 'pulled', report })
  }

  /** What there is to say of a pull that has ended, written down. */
  #told({ request, ageMs, told }: PullInFlight, failure?: PullReport['failure']): PullReport {
    const report = reportOf({ reference: formatReference(request.reference), ms: ageMs }, told, failure)
    this.#history?.add(report)
    return report
  }

  #sampleWhileBusy(): void {
    this.#timer ??= setInterval(() => {
      for (const { pull } of this.#entries.values()) pull.sample()
      if (this.#isChanged) this.#tellWatchers()
      if (this.#entries.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    }, SAMPLE_MS)
  }

  #change(): void {
    this.#isChanged = true
    this.#brake.changed()
  }

  #tellWatchers(): void {
    this.#isChanged = false
    const pulls = this.inFlight()
    for (const watcher of this.#watchers) watcher(pulls)
  }
}

const shutdown = (): WindlassError => new WindlassError({ kind: 'cancelled', reason: 'shutdown' })

/** Pulls are the same when they name the same thing for the same platform with the same credentials: no tenant rides on another's login. */
function keyOf({ reference, platform, credentials, source }: PullRequest, own: Platform): string {
  // What somebody brings may be anything: who asks the registry must not be given it.
  if (source !== undefined) return randomUUID()
  const login = createHash('sha256').update(canonical(credentials)).digest('hex')
  return [formatReference(reference), formatPlatform(platform ?? own), login].join(' ')
}
