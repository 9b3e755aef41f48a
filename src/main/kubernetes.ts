/** What the cluster is told of this node's lists: how whole they are, and what went wrong with them. */
import { createCluster } from '../kube/cluster.ts'
import { inCluster } from '../kube/in-cluster.ts'
import type { Cluster, ListStanding } from '../kube/kube.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { DeclaredQueue, QueuedImage } from '../pull/queue.ts'
import type { Store } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import type { Basics } from './basics.ts'
import type { Logger } from './log.ts'
import type { Prepull } from './prepull.ts'

/** Undefined where it is not wanted, or there is no cluster to tell: then the log says what is missing, and images are pulled all the same. */
export function openCluster({ config, version, log }: Basics, metrics: Metrics): Cluster | undefined {
  if (config.prepull?.kubernetes !== true) return undefined
  const who = inCluster(process.env)
  if ('missing' in who) {
    log.warn({ reason: who.missing }, 'the cluster is told nothing of image lists')
    return undefined
  }
  log.info({ node: who.node, api: who.origin }, 'the cluster is told of image lists')
  return createCluster({ ...who, userAgent: `windlass/${version}`, onWrite: metrics.written, log })
}

type LookedAt = { readonly store: Pick<Store, 'find' | 'health'> }

/** Tells of every change until the signal aborts. `node` is where images are, while they can be looked at. */
export function tellCluster(
  cluster: Cluster,
  prepull: Pick<Prepull, 'queue' | 'watch' | 'read'>,
  node: () => LookedAt | undefined,
  { signal, log }: Abortable & { readonly log: Pick<Logger, 'warn'> },
): void {
  const reporter = new Reporter(cluster)
  let isTelling = false
  let isStale = false
  const tell = async (): Promise<void> => {
    isStale = true
    if (isTelling) return
    isTelling = true
    while (isStale && !signal.aborted) {
      isStale = false
      await reporter.tell(prepull.queue(), node()).catch((error: unknown) => {
        log.warn({ err: error }, 'image lists could not be looked at for the cluster; it is told of the next change')
      })
    }
    isTelling = false
  }
  // Lists that have not been read yet are not gone.
  void prepull.read.then(() => {
    prepull.watch(() => void tell(), { signal })
    void tell()
  })
}

/** Remembers what was told, so that each failure is told once. */
export class Reporter {
  readonly #cluster: Cluster
  /** Images whose last settled state was `here`; those are looked at again and again, and are `pulling` meanwhile. */
  #here: ReadonlySet<string> = new Set()
  /** When the failure of an image was, by which it is another than the last. */
  #failed: ReadonlyMap<string, number> = new Map()
  #problems: ReadonlySet<string> = new Set()

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  async tell({ lists, images: queue, problems }: DeclaredQueue, node: LookedAt | undefined): Promise<void> {
    const damaged = new Set((node?.store.health?.damaged() ?? []).map(({ id }) => id))
    const states = await Promise.all(queue.map(async (image) => ({ image, lack: await this.#lackOf(image, node, damaged) })))
    this.#tellFailures(queue)
    this.#tellProblems(problems)
    this.#here = new Set(states.flatMap(({ image, lack }) => (lack === undefined ? [keyOf(image)] : [])))
    const ofList = Map.groupBy(states, ({ image }) => image.list)
    const standings = lists.map((name) => standingOf(name, ofList.get(name) ?? []))
    // A file that cannot be read may have declared others.
    this.#cluster.lists(standings, problems.length === 0)
  }

  /** Why an image does not count as here; undefined where it does. */
  async #lackOf(image: QueuedImage, node: LookedAt | undefined, damaged: ReadonlySet<string>): Promise<string | undefined> {
    const { name, state } = image
    if (state.kind === 'failed') return state.reason
    if (state.kind === 'waiting') return 'it waits for its turn'
    const isLookedAt = state.kind === 'pulling'
    if (isLookedAt && !this.#here.has(keyOf(image))) return 'it is being pulled'
    if (!isLookedAt && damaged.size === 0) return undefined
    // One that was here may have gone since it was last looked at.
    const found = await node?.store.find(name).catch(() => undefined)
    if (found === undefined) return isLookedAt ? 'it has gone, and is being pulled again' : 'it has gone'
    return found.layerIds.some((id) => damaged.has(id)) ? 'a layer of it is damaged' : undefined
  }

  #tellFailures(queue: readonly QueuedImage[]): void {
    const failed = new Map<string, number>()
    for (const image of queue) {
      const { list, name, state } = image
      if (state.kind !== 'failed') continue
      const at = state.next.getTime()
      failed.set(keyOf(image), at)
      if (this.#failed.get(keyOf(image)) === at) continue
      const message = `${name} of the image list ${list} was not pulled (attempt ${state.attempts}): ${state.reason}`
      this.#cluster.mishap({ reason: 'PrepullFailed', subject: keyOf(image), message })
    }
    // While it is tried again its last failure is not forgotten.
    for (const image of queue)
      if (image.state.kind === 'pulling') {
        const at = this.#failed.get(keyOf(image))
        if (at !== undefined) failed.set(keyOf(image), at)
      }
    this.#failed = failed
  }

  #tellProblems(problems: readonly string[]): void {
    for (const problem of problems)
      if (!this.#problems.has(problem)) this.#cluster.mishap({ reason: 'ImageListRefused', subject: problem, message: problem })
    this.#problems = new Set(problems)
  }
}

const MAX_NAMED = 5

function standingOf(
  name: string,
  states: readonly { readonly image: QueuedImage; readonly lack: string | undefined }[],
): ListStanding {
  const lacking = states.flatMap(({ image, lack }) => (lack === undefined ? [] : [`${image.name}: ${lack}`]))
  if (lacking.length === 0) {
    const count = states.length === 1 ? '1 image is' : `${states.length} images are`
    return { name, isWhole: true, reason: 'AllImagesHere', message: `${count} here, verified` }
  }
  const more = lacking.length > MAX_NAMED ? `; and ${lacking.length - MAX_NAMED} more` : ''
  const hasFailed = states.some(({ image }) => image.state.kind === 'failed')
  return {
    name,
    isWhole: false,
    reason: hasFailed ? 'PullFailed' : 'ImagesMissing',
    message: `${lacking.length} of ${states.length} images are not here: ${lacking.slice(0, MAX_NAMED).join('; ')}${more}`,
  }
}

const keyOf = ({ list, name }: QueuedImage): string => `${list} ${name}`
