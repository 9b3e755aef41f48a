/**
 * The unpacker as the main thread sees it: a fixed number of long-lived workers, started when first needed, each with a ring of its own.
 */
import { closeSync, constants, openSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { asWindlassError, fail, WindlassError } from '../failure/failure.ts'
import { missingCapabilities } from '../sys/capabilities.ts'
import { Limiter, type Permit } from '../task/limiter.ts'
import type { Abortable } from '../task/task.ts'
import type { WorkerAnswer, WorkerJob, WorkerStart } from './messages.ts'
import { createRingMemory, RingWriter } from './ring.ts'
import type { UnpackedLayer, Unpacker, Unpacking, UnpackJob, UnpackLimits } from './unpack.ts'

export type UnpackerOptions = {
  /** How many layers are unpacked at once on this node. */
  readonly workers: number
  readonly limits: UnpackLimits
}

/** The unpacker with worker threads of this process. */
export const createUnpacker = (options: UnpackerOptions): Unpacker => new WorkerPool(options)

/** A worker's garbage is small and short-lived; V8's own choice would let each nursery grow to 48 MiB. */
const NURSERY_MB = 4

class WorkerPool implements Unpacker {
  readonly #options: UnpackerOptions
  readonly #limiter: Limiter
  readonly #idle: LayerWorker[] = []
  readonly #all = new Set<LayerWorker>()

  constructor(options: UnpackerOptions) {
    this.#options = options
    this.#limiter = new Limiter(options.workers)
  }

  async open(job: UnpackJob, { signal }: Abortable): Promise<Unpacking> {
    // Without them a layer would come out with owners and modes that are not its own.
    const missing = missingCapabilities(['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_MKNOD'])
    if (missing.length > 0) fail({ kind: 'not-permitted', what: 'unpacking layers', missing })
    // A local copy is opened before any wait: it may be moved to its place meanwhile.
    const source = openSource(job)
    try {
      const permit = await this.#limiter.acquire({ signal })
      const worker = this.#takeIdle() ?? this.#start()
      const release = (): void => {
        if (worker.isAlive) this.#idle.push(worker)
        else this.#all.delete(worker)
        source[Symbol.dispose]()
        permit[Symbol.dispose]()
      }
      return new Job(worker, { dir: job.dir, diffId: job.diffId, source: source.value }, signal, release)
    } catch (error) {
      source[Symbol.dispose]()
      throw error
    }
  }

  /** Waits for jobs under way, then lets the workers go. */
  async [Symbol.asyncDispose](): Promise<void> {
    const permits: Permit[] = []
    for (let i = 0; i < this.#options.workers; i++)
      permits.push(await this.#limiter.acquire({ signal: new AbortController().signal }))
    await Promise.all([...this.#all].map((worker) => worker.close()))
  }

  /** A worker may have died while it had nothing to do. */
  #takeIdle(): LayerWorker | undefined {
    for (let worker = this.#idle.pop(); worker !== undefined; worker = this.#idle.pop()) {
      if (worker.isAlive) return worker
      this.#all.delete(worker)
    }
    return undefined
  }

  #start(): LayerWorker {
    const worker = new LayerWorker(this.#options.limits)
    this.#all.add(worker)
    return worker
  }
}

/** A thread, its ring, and the answer to the job it has. */
class LayerWorker {
  readonly #memory = createRingMemory()
  readonly #thread: Worker
  #answer: ((answer: WorkerAnswer) => void) | undefined
  isAlive = true

  constructor(limits: UnpackLimits) {
    const workerData: WorkerStart = { ring: this.#memory, limits }
    this.#thread = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData,
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: NURSERY_MB },
    })
    this.#thread.unref()
    this.#thread.on('message', (answer: WorkerAnswer) => this.#settle(answer))
    this.#thread.on('error', (error) => this.#die(error instanceof Error ? error : new Error(String(error))))
    this.#thread.on('exit', (code) => this.#die(new Error(`the worker ended with code ${code}`)))
  }

  /** Starts a job: bytes go in by `ring`, `answer` never rejects. */
  run(job: WorkerJob): { readonly ring: RingWriter; readonly answer: Promise<WorkerAnswer> } {
    const ring = new RingWriter(this.#memory)
    this.#thread.ref()
    const { promise, resolve } = Promise.withResolvers<WorkerAnswer>()
    this.#answer = resolve
    this.#thread.postMessage(job)
    return { ring, answer: promise }
  }

  /** Idle threads end at once; `terminate` would wait for a native call only in a busy one. */
  async close(): Promise<void> {
    this.isAlive = false
    await this.#thread.terminate()
  }

  #settle(answer: WorkerAnswer): void {
    this.#thread.unref()
    this.#answer?.(answer)
    this.#answer = undefined
  }

  #die(error: Error): void {
    this.isAlive = false
    this.#settle({
      ok: false,
      failure: { kind: 'internal', what: `an unpack worker died: ${error.message}` },
      stack: error.stack,
    })
  }
}

class Job implements Unpacking {
  readonly #ring: RingWriter
  readonly #signal: AbortSignal
  readonly #result: Promise<UnpackedLayer>
  readonly #onAbort: () => void
  #failure: WindlassError | undefined
  #ended = false

  constructor(worker: LayerWorker, job: WorkerJob, signal: AbortSignal, release: () => void) {
    const { ring, answer } = worker.run(job)
    this.#ring = ring
    this.#signal = signal
    this.#onAbort = () => this.#stop(asWindlassError(signal.reason))
    this.#result = answer.then((end) => {
      signal.removeEventListener('abort', this.#onAbort)
      if (!end.ok) this.#stop(new WindlassError(end.failure, end.stack))
      this.#ended = true
      release()
      if (end.ok) return end.layer
      throw this.#failure
    })
    // Whoever disposes before `finish` does not look at the result.
    this.#result.catch(() => {})
    if (signal.aborted) this.#onAbort()
    else signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  get blockedMs(): number {
    return this.#ring.blockedMs
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure
    return this.#ring.write(chunk)?.then(() => {
      if (this.#failure !== undefined) throw this.#failure
    })
  }

  async finish(): Promise<UnpackedLayer> {
    if (this.#failure === undefined) this.#ring.end()
    try {
      return await this.#result
    } catch (error) {
      throw this.#signal.aborted && this.#failure !== undefined ? this.#failure : error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop(new WindlassError({ kind: 'cancelled', reason: 'cancelled' }))
    await this.#result.catch(() => {})
  }

  /** The first reason is the one told. Once the job has ended the ring is another one's. */
  #stop(failure: WindlassError): void {
    if (this.#failure !== undefined || this.#ended) return
    this.#failure = failure
    this.#ring.abort()
  }
}

type OpenSource = Disposable & { readonly value: WorkerJob['source'] }

function openSource({ source, diffId }: UnpackJob): OpenSource {
  if (source.kind === 'blob') return { value: source, [Symbol.dispose]: () => {} }
  const diffFd = openSync(source.diff, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    const splitFd = openSync(source.tarSplit, constants.O_RDONLY)
    return {
      value: { kind: 'local', diffFd, splitFd, path: source.diff },
      [Symbol.dispose]: () => {
        closeSync(diffFd)
        closeSync(splitFd)
      },
    }
  } catch (error) {
    closeSync(diffFd)
    fail(
      { kind: 'digest-mismatch', what: 'diffID', want: diffId, got: 'nothing: its tar-split file is missing', from: source.diff },
      error,
    )
  }
}
