/**
 * Images in a containerd that runs on this node, through its own services: leases, content, snapshots, images. It is the one truth; what
 * is here beside it are layers on their way.
 *
 *     stage, in a leased snapshot → commit: a place in the chain, in memory → publish: one syncfs, then for each layer Prepare, rename,
 *     fsync, Commit; then documents and records
 *
 * What containerd no longer needs it collects itself. What this store leaves behind, however it ends, hangs on leases that expire.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { asWindlassError } from '../../failure/failure.ts'
import { hexOf, sha256 } from '../../oci/digest.ts'
import type { Platform } from '../../oci/oci.ts'
import { connect } from '../../rpc/client.ts'
import { beside } from '../../task/beside.ts'
import type { Abortable } from '../../task/task.ts'
import { lockRoot } from '../common/lock.ts'
import type { StoreLog } from '../common/log.ts'
import { LOCK, makeRoot, RECEIPTS } from '../common/root.ts'
import { Sweeper } from '../common/sweeper.ts'
import { Thread } from '../common/thread.ts'
import { Blobs } from './blobs.ts'
import { Catalog } from './catalog.ts'
import { ContainerdStore } from './containerd-store.ts'
import { Daemon } from './daemon.ts'
import { Evictor } from './eviction.ts'
import { RecordExpiries } from './expiries.ts'
import { Holds } from './holds.ts'
import { Leases } from './leases.ts'
import type { MoverDuties } from './mover.ts'
import { Names } from './naming.ts'
import { Pending } from './pending.ts'
import { RecordPins } from './pins.ts'
import { ReceiptFiles } from './receipts.ts'
import { Snapshots } from './snapshots.ts'
import { StagedLayers } from './staged-layers.ts'
import { Staging } from './staging.ts'
import { TarSplits } from './tar-splits.ts'
import { Upkeep } from './upkeep.ts'

export type ContainerdStoreOptions = {
  /** Our own root: tells this store's leases from others'. */
  readonly root: string
  readonly socket: string
  readonly platform: Platform
  /** The tag of an image that must stay, whatever kubelet's collection thinks. */
  readonly pinned?: string
  /** Keeps layers' blobs in containerd's content store, for peers and for `ctr image export`. */
  readonly keepBlobs?: boolean
  /** Where its images go, in place of the CRI plugin's namespace: that plugin then knows nothing of them, and is not waited for. */
  readonly namespace?: string
  /** Images are recorded without a sync: after a power cut they may be shown, and their files not be there. */
  readonly isLazy?: boolean
  /** containerd's own root; else it is taken to be where its snapshots are. */
  readonly containerdRoot?: string
  readonly log: StoreLog
  /** Called once if the store can no longer change anything: only a new process can. */
  readonly onLost?: (error: Error) => void
}

/** Opens the store. Throws runtime-down where containerd does not answer, unsupported for a snapshotter we cannot land in, invalid-argument for a root of another program's. */
export async function openContainerdStore(options: ContainerdStoreOptions, { signal }: Abortable): Promise<ContainerdStore> {
  if (signal.aborted) throw asWindlassError(signal.reason)
  const { root, socket, platform, namespace, containerdRoot, log, onLost, pinned, keepBlobs = false, isLazy = false } = options
  await using open = new AsyncDisposableStack()
  // One process a root: the next thing we do is to drop the leases of whoever had it before.
  makeRoot(root, log)
  open.use(lockRoot(root, join(root, LOCK)))
  const daemon = open.use(new Daemon(socket, undefined, namespace))
  // Whoever gives up while it is opened need not wait for its calls.
  const stop = (): void => daemon[Symbol.dispose]()
  signal.addEventListener('abort', stop, { once: true })
  using _opening = { [Symbol.dispose]: () => signal.removeEventListener('abort', stop) }
  const cri = open.use(await connect(socket, { signal, runtime: 'containerd' }))
  const leases = new Leases(daemon, hexOf(sha256(root)).slice(0, 32), log)
  const abandoned = await leases.abandoned()
  const staging = open.use(await Staging.open(daemon, leases, log))
  const sweeper = open.use(new Sweeper(staging.trash, log))
  const mover = open.use(new Thread<MoverDuties>(beside(import.meta.url, 'mover'), 'store mover', staging.incoming, log, onLost))
  const snapshots = new Snapshots(daemon, staging, mover, onLost)
  const [catalog, names] = [new Catalog(daemon, platform), new Names(daemon)]
  const [pending, holds] = [new Pending(), new Holds(leases)]
  const tarSplits = open.use(new TarSplits({ root, staging: staging.incoming, snapshots, mover, log }))
  const staged = open.use(new StagedLayers({ staging, sweeper, mover, snapshots, pending, holds, log }))
  const contentDir = contentDirIn(containerdRoot ?? join(staging.snapshots, '..', '..'), log)
  const blobs = keepBlobs ? new Blobs(daemon, leases, holds) : undefined
  const receipts = open.use(new ReceiptFiles(join(root, RECEIPTS), log))
  await receipts.trim()
  const parts = { daemon, catalog, snapshots, leases, staging, holds, pending, sweeper, receipts, log }
  const evictions = await Evictor.open(root, parts)
  // Only now: they have held the documents of what was given back.
  await leases.drop(abandoned)
  log.info({ containerd: socket, staging: staging.incoming }, 'store open')
  const expiries = new RecordExpiries(catalog, names)
  if (pinned !== undefined) await expiries.pin(pinned)
  const pins = new RecordPins(catalog, names, expiries)
  open.use(new Upkeep({ daemon, catalog, expiries, pins, log }))
  if (signal.aborted) throw asWindlassError(signal.reason)
  const isShownByCri = namespace === undefined
  const landing = { daemon, cri, isShownByCri, contentDir, sweeper, mover, snapshots, catalog, names }
  const kept = { pending, holds, tarSplits, pinned, blobs, isLazy, staging, staged, evictions, expiries, pins, receipts, onLost }
  return new ContainerdStore(root, { ...landing, ...kept }, open.move())
}

/** Where blobs and documents lie, by their digests. */
function contentDirIn(root: string, log: StoreLog): string | undefined {
  const plugin = join(root, 'io.containerd.content.v1.content')
  if (existsSync(plugin)) return join(plugin, 'blobs', 'sha256')
  log.warn(
    { content: plugin },
    'the directory of its content is not there: after a power cut, images may have to be pulled again',
  )
  return undefined
}
