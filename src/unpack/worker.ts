/** A worker thread: takes one job at a time and does it with synchronous calls. It is never terminated; it polls the ring's state. */
import { parentPort, workerData } from 'node:worker_threads'
import { failureOf } from '../failure/failure.ts'
import { CLONE_FS, check, umask, unshare } from '../sys/libc.ts'
import { type Chunks, type LayerBytes, unpackLayer } from './layer.ts'
import type { WorkerAnswer, WorkerJob, WorkerStart } from './messages.ts'
import { replay } from './replay.ts'
import { RingReader } from './ring.ts'

const { ring, limits }: WorkerStart = workerData
const reader = new RingReader(ring)

// Modes are given when an entry is made; a umask of this thread's own leaves the rest of the process alone.
check(unshare(CLONE_FS), 'unshare')
umask(0)

parentPort?.on('message', (job: WorkerJob) => parentPort?.postMessage(run(job)))

function run(job: WorkerJob): WorkerAnswer {
  const start = performance.now()
  const waitedBefore = reader.waitMs
  try {
    const outcome = unpackLayer({ dir: job.dir, diffId: job.diffId, bytes: bytesOf(job), limits })
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

function bytesOf({ source }: WorkerJob): LayerBytes {
  if (source.kind === 'blob') return { ...source, chunks: () => reader.next() }
  const blocks = replay(source.diffFd, source.splitFd)
  const chunks: Chunks = () => {
    if (reader.aborted) return undefined
    const next = blocks.next()
    return next.done === true ? undefined : next.value
  }
  return { kind: 'tar', chunks, path: source.path }
}
