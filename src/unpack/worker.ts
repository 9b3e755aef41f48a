/** A worker thread: takes one job at a time and does it with synchronous calls. It is never terminated; it polls the ring's state. */
import { parentPort, workerData } from 'node:worker_threads'
import { fail, failureOf } from '../failure/failure.ts'
import { actAsRoot, CLONE_FS, check, umask, unshare } from '../sys/libc.ts'
import { type Chunks, type LayerBytes, unpackLayer } from './layer.ts'
import type { WorkerAnswer, WorkerJob, WorkerStart } from './messages.ts'
import { RingReader } from './ring.ts'

const { ring, limits }: WorkerStart = workerData
const reader = new RingReader(ring)

// Modes are given when an entry is made; a umask of this thread's own leaves the rest of the process alone.
check(unshare(CLONE_FS), 'unshare')
umask(0)
// Owners are set only where they are not root: what this thread makes must be root's.
const isRoot = actAsRoot()

parentPort?.on('message', async (job: WorkerJob) => parentPort?.postMessage(await run(job)))

async function run(job: WorkerJob): Promise<WorkerAnswer> {
  const start = performance.now()
  const waitedBefore = reader.waitMs
  try {
    if (!isRoot) fail({ kind: 'not-permitted', what: 'unpacking layers', missing: ['CAP_SETUID', 'CAP_SETGID'] })
    const outcome = unpackLayer({ dir: job.dir, diffId: job.diffId, bytes: await bytesOf(job), limits })
    const waitMs = reader.waitMs - waitedBefore
    return { ok: true, layer: { ...outcome, waitMs, workMs: performance.now() - start - waitMs } }
  } catch (error) {
    // What an aborted job fails with is only that its bytes stopped.
    if (reader.aborted) return { ok: false, failure: { kind: 'cancelled', reason: 'cancelled' }, stack: undefined }
    return { ok: false, failure: failureOf(error), stack: error instanceof Error ? error.stack : undefined }
  } finally {
    reader.reset()
  }
}

async function bytesOf({ source }: WorkerJob): Promise<LayerBytes> {
  if (source.kind === 'blob') return { ...source, chunks: () => reader.next() }
  // Loaded by the few layers that are copied: it costs every worker 10 MB.
  const { replay } = await import('./replay.ts')
  const blocks = replay(source.diffFd, source.splitFd)
  const chunks: Chunks = () => {
    if (reader.aborted) return undefined
    const next = blocks.next()
    return next.done === true ? undefined : next.value
  }
  return { kind: 'tar', chunks, path: source.path }
}
