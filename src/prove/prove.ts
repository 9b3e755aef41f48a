/**
 * The comparison of the benchmark on a user's own node: one image, pulled by Windlass into containerd and by that containerd itself in turn,
 * each time into a namespace made for it, which no kubelet sees. The merged trees are compared; then all of it goes again, also where it was
 * stopped half-way.
 *
 * Whoever calls says how Windlass pulls (`Opener`), for only the composition root knows how that is put together.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fail } from '../failure/failure.ts'
import { hexOf } from '../oci/digest.ts'
import type { PullPlan } from '../pull/pull.ts'
import { cpuSecondsOf } from '../sys/cost.ts'
import type { Abortable } from '../task/task.ts'
import type { Ctr } from './ctr.ts'
import { type Comparison, compare, readTree } from './tree.ts'
import { type Cost, type Round, type Verdict, verdictOf } from './verdict.ts'

export type Proof = {
  readonly reference: string
  readonly platform: string
  readonly imageId: string
  readonly layers: number
  /** Compressed. */
  readonly bytes: number
  readonly containerd: { readonly version: string; readonly socket: string }
  /** False where containerd's process is not seen from here: then no figure has its part. */
  readonly countsContainerd: boolean
  readonly rounds: readonly Round[]
  readonly verdict: Verdict
  /** The machine's load average before and after; what is more than its CPUs can do was not ours alone. */
  readonly load: { readonly before: number; readonly after: number; readonly cpus: number }
  readonly tree: Comparison
}

/** Windlass's pull path into one namespace. */
export type Puller = AsyncDisposable & { pull(options: Abortable): Promise<PullPlan> }
export type Opener = (namespace: string, options: Abortable) => Promise<Puller>

export type Node = {
  readonly open: Opener
  readonly ctr: Ctr
  readonly socket: string
  readonly version: string
  /** Of containerd, where it is seen. */
  readonly pid: number | undefined
  /** Where containerd keeps blobs by their hex digits; undefined where it does not say. */
  readonly blobsDir: string | undefined
}

export type ProveAsk = { readonly reference: string; readonly rounds: number }
/** What is under way in which round, and the rounds that are over. */
export type Progress = {
  readonly doing: 'windlass' | 'containerd' | 'comparing' | 'removing'
  readonly at: number
  readonly of: number
  readonly rounds: readonly Round[]
}
export type ProveOptions = Abortable & { readonly onProgress?: (now: Progress) => void }

const PREFIX = 'windlass-prove-'

/** Throws invalid-argument where containerd has layers of the image already; what a pull throws; runtime. */
export async function prove(node: Node, { reference, rounds: wanted }: ProveAsk, options: ProveOptions): Promise<Proof> {
  const { ctr, socket, version } = node
  await clearAbandoned(ctr, options)
  const before = loadNow()
  const rounds: Round[] = []
  for (let at = 1; ; at++) {
    const tell = (doing: Progress['doing']) => options.onProgress?.({ doing, at, of: wanted, rounds: [...rounds] })
    await using ours = scratch(ctr, 'ours')
    await using theirs = scratch(ctr, 'theirs')
    // Before those go, however this round ends.
    using _removal = { [Symbol.dispose]: () => tell('removing') }
    tell('windlass')
    const { plan, cost: windlass } = await pullOurs(node, ours.namespace, options)
    checkAbsent(plan, node)
    tell('containerd')
    const { cost: containerd } = await timed(node, () => ctr.pull(theirs.namespace, plan.reference, options))
    rounds.push({ windlass, containerd })
    if (at < wanted) continue
    const load = { before, after: loadNow(), cpus: availableParallelism() }
    tell('comparing')
    const tree = await compareTrees(ctr, [ours.namespace, theirs.namespace], plan.reference, options)
    return {
      reference,
      platform: `${plan.platform.os}/${plan.platform.architecture}`,
      imageId: plan.imageId,
      layers: plan.layers.length,
      bytes: plan.layers.reduce((sum, { blob }) => sum + blob.size, 0),
      containerd: { version, socket },
      countsContainerd: node.pid !== undefined,
      rounds,
      verdict: verdictOf(rounds),
      load,
      tree,
    }
  }
}

/** A namespace that is gone, with all that is in it, when the scope ends. */
function scratch(ctr: Ctr, whose: string): AsyncDisposable & { readonly namespace: string } {
  const namespace = `${PREFIX}${process.pid}-${whose}-${randomBytes(3).toString('hex')}`
  return { namespace, [Symbol.asyncDispose]: () => ctr.clear(namespace) }
}

/** Of runs that were killed; a run under way has its own. */
async function clearAbandoned(ctr: Ctr, options: Abortable): Promise<void> {
  for (const namespace of await ctr.namespaces(options)) {
    if (!namespace.startsWith(PREFIX)) continue
    const pid = namespace.slice(PREFIX.length).split('-')[0] ?? ''
    if (!existsSync(`/proc/${pid}`)) await ctr.clear(namespace)
  }
}

/** Opening it is what a daemon has done long before. */
async function pullOurs(node: Node, namespace: string, options: Abortable) {
  await using puller = await node.open(namespace, options)
  const { value: plan, cost } = await timed(node, () => puller.pull(options))
  return { plan, cost }
}

/** A blob that containerd has for any namespace is one that it does not fetch for another. */
function checkAbsent({ layers, reference }: PullPlan, { blobsDir }: Node): void {
  if (blobsDir === undefined) return
  const here = layers.filter(({ blob }) => existsSync(join(blobsDir, hexOf(blob.digest)))).length
  if (here === 0) return
  const reason = `containerd has ${here} of its ${layers.length} layers' blobs already and would not fetch them; remove the image (crictl rmi ${reference}), or name one that this node has not got`
  fail({ kind: 'invalid-argument', what: `image ${reference}`, reason })
}

async function timed<T>({ pid }: Node, work: () => Promise<T>): Promise<{ readonly value: T; readonly cost: Cost }> {
  const cpu = (): number => cpuSecondsOf(process.pid) + (pid === undefined ? 0 : cpuSecondsOf(pid))
  const [before, started] = [cpu(), performance.now()]
  const value = await work()
  const seconds = (performance.now() - started) / 1000
  return { value, cost: { seconds, cpuSeconds: cpu() - before } }
}

async function compareTrees(
  ctr: Ctr,
  [ours, theirs]: readonly [string, string],
  reference: string,
  options: Abortable,
): Promise<Comparison> {
  await using dir = await mkdtempDisposable(join(tmpdir(), PREFIX))
  const read = async (namespace: string, name: string) => {
    await using _mounted = await ctr.mount(namespace, reference, join(dir.path, name), options)
    return await readTree(join(dir.path, name), options)
  }
  return compare(await read(ours, 'ours'), await read(theirs, 'theirs'))
}

/** Of the last minute. */
const loadNow = (): number => loadavg()[0] ?? 0
