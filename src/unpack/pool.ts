/** The unpacker as the main thread sees it: a fixed number of processes, started when first needed, and let go when idle. */
import { realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { fail } from '../failure/failure.ts'
import { missingCapabilities } from '../sys/capabilities.ts'
import { shrink } from '../sys/footprint.ts'
import type { Territory } from '../sys/territory.ts'
import { Limiter, type Permit } from '../task/limiter.ts'
import type { Abortable } from '../task/task.ts'
import { Extractor } from './child.ts'
import { examination, unlessGone } from './examination.ts'
import { Extraction } from './extraction.ts'
import { type Guest, Guests } from './guests.ts'
import type { Job } from './messages.ts'
import { isWithin, openSource } from './source.ts'
import type { Unpacker, Unpacking, UnpackJob, UnpackLimits, Verdict, Verifier, VerifyJob } from './unpack.ts'
import { Warden, type Warn } from './warden.ts'

export type UnpackerOptions = {
  /** How many layers are unpacked at once on this node. */
  readonly workers: number
  /** Processors they may take in all: a large layer that comes alone takes two. By default no layer has two. */
  readonly processors?: number
  /** Bytes of a blob from which on a second thread is worth its start; by default 16 MiB. */
  readonly worthAThread?: number
  readonly limits: UnpackLimits
  /** Whoever publishes what is unpacked waits for the disk: it may begin early. By default it is left alone. */
  readonly writesBack?: boolean
  /** The directory that jobs' directories lie in: all that may be written to. */
  readonly staging: string
  /** Where local copies lie, beside those in `staging`; absent where there are none. */
  readonly layers?: string
  readonly warn: Warn
}

/** The unpacker with processes of its own; the same processes verify. */
export const createUnpacker = (options: UnpackerOptions): Unpacker & Verifier => new Pool(options)

const WORTH_A_THREAD = 2 ** 24

/** How long after the last job idle processes stay for the next. */
const IDLE_MS = 30_000

/** How often at most memory is given back while jobs come and go; it takes a millisecond. */
const SHRINK_MS = 250

class Pool implements Unpacker, Verifier {
  readonly #options: UnpackerOptions
  readonly #limiter: Limiter
  /** Pulls go first: one worker, where there are several, never verifies. */
  readonly #verifying: Limiter
  readonly #idle: Extractor[] = []
  readonly #all = new Set<Extractor>()
  readonly #warden: Warden
  readonly #guests: Guests
  /** Jobs that have a second processor. */
  #secondThreads = 0
  #shrunkAt = 0
  #resting: NodeJS.Timeout | undefined
  #closed: Promise<void> | undefined

  constructor(options: UnpackerOptions) {
    this.#options = options
    this.#warden = new Warden(territoryOf(options.staging, options.layers === undefined ? [] : [options.layers]), options.warn)
    this.#guests = new Guests((trees) => territoryOf(options.staging, trees), IDLE_MS, options.warn)
    this.#limiter = new Limiter(options.workers)
    this.#verifying = new Limiter(Math.max(1, options.workers - 1))
  }

  checkRights(): void {
    checkRights('unpacking layers')
  }

  startWorker(): void {
    const mayStart = this.#closed === undefined && this.#all.size < this.#options.workers
    if (!mayStart || this.#idle.some(({ isAlive }) => isAlive)) return
    try {
      this.#giveBack(this.#start())
    } catch (error) {
      // Who needs one hears of it then.
      this.#options.warn({ err: error }, 'no extractor could be started ahead')
    }
  }

  async open(job: UnpackJob, { signal }: Abortable): Promise<Unpacking> {
    this.checkRights()
    // A local copy is opened before any wait: it may be moved to its place meanwhile.
    using opening = new DisposableStack()
    const source = opening.use(openSource(job, this.#options))
    opening.use(await this.#limiter.acquire({ signal }))
    const extractor = this.#take()
    opening.defer(() => this.#giveBack(extractor))
    const { limits, writesBack = false } = this.#options
    const order: Job = { dir: job.dir, diffId: job.diffId, limits, writesBack, source: source.value }
    const held = opening.move()
    const grant = (): number => {
      if (!this.#isWorthTwo(job)) return 1
      this.#secondThreads++
      held.defer(() => this.#secondThreads--)
      return 2
    }
    return new Extraction(extractor, order, source.fds, { signal, grant, release: () => held.dispose() })
  }

  /** Asked when its first bytes are here: the other layers of its image have come for a worker by then. */
  #isWorthTwo({ source }: UnpackJob): boolean {
    const { processors = 1, worthAThread = WORTH_A_THREAD } = this.#options
    return source.kind === 'blob' && source.size >= worthAThread && this.#limiter.wanted + this.#secondThreads < processors
  }

  async verify(job: VerifyJob, options: Abortable & { readonly onProgress?: (bytes: number) => void }): Promise<Verdict> {
    checkRights('verifying layers')
    await using opening = new AsyncDisposableStack()
    opening.use(await this.#verifying.acquire(options))
    opening.use(await this.#limiter.acquire(options))
    const source = unlessGone(() => opening.use(openSource({ ...job, source: { kind: 'local', ...job } }, this.#options)))
    if ('differences' in source) return source
    const { extractor } = opening.use(this.#takeFor(job))
    const { dir, diffId, diffSize, lowers } = job
    const order: Job = { dir, diffId, limits: this.#options.limits, verify: { diffSize, lowers } }
    return await examination(extractor, order, source.fds, options)
  }

  /** Waits for jobs under way, then lets the processes go. The permits it takes for that it keeps: a second call joins the first. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const permits: Permit[] = []
    for (let i = 0; i < this.#options.workers; i++)
      permits.push(await this.#limiter.acquire({ signal: new AbortController().signal }))
    clearTimeout(this.#resting)
    await Promise.all([...this.#all].map((extractor) => extractor.close()))
    await this.#guests[Symbol.asyncDispose]()
    await this.#warden[Symbol.asyncDispose]()
  }

  /** The one used last, or a new one: the others may go in peace. */
  #take(): Extractor {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.isAlive) return idle
      this.#letGo(idle)
    }
    return this.#start()
  }

  #start(): Extractor {
    const started = new Extractor(this.#warden, this.#options.warn)
    this.#all.add(started)
    return started
  }

  /** For a tree outside the territory one that may read it and those it comes with. */
  #takeFor({ diff, lowers, among }: VerifyJob): Guest {
    const trees = [diff, ...lowers]
    if (!trees.every((tree) => isWithin(this.#options, tree))) return this.#guests.take(trees, among)
    const extractor = this.#take()
    return { extractor, [Symbol.asyncDispose]: async () => this.#giveBack(extractor) }
  }

  #giveBack(extractor: Extractor): void {
    this.#shrinkAtTimes()
    // One that does not live any more may still be on its way out.
    if (!extractor.isAlive) {
      this.#letGo(extractor)
      return
    }
    this.#idle.push(extractor)
    clearTimeout(this.#resting)
    this.#resting = setTimeout(() => this.#rest(), IDLE_MS).unref()
  }

  /** What ends and begins touches much of the program here that is not needed by what goes on. */
  #shrinkAtTimes(): void {
    const now = performance.now()
    if (now - this.#shrunkAt < SHRINK_MS) return
    this.#shrunkAt = now
    shrink()
  }

  /** Idle processes hold memory that pods could use, and so does what the last pulls needed here. */
  #rest(): void {
    for (const extractor of this.#idle.splice(0)) this.#letGo(extractor)
    shrink()
  }

  /** It is one of ours until it is gone: whoever puts the pool away waits for that. */
  #letGo(extractor: Extractor): void {
    void extractor.close().then(() => this.#all.delete(extractor))
  }
}

/** Without them a layer would come out with owners and modes that are not its own. */
function checkRights(what: string): void {
  const missing = missingCapabilities(['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_MKNOD'])
  if (missing.length > 0) fail({ kind: 'not-permitted', what, missing })
}

/** All that an extractor needs of the file system: its jobs, its program, and the system's libraries, ISA-L among them. */
function territoryOf(staging: string, trees: readonly string[]): Territory {
  const koffi = createRequire(import.meta.url).resolve('koffi')
  const modules = koffi.slice(0, koffi.lastIndexOf('/node_modules/') + '/node_modules'.length)
  const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
  return {
    // The null device is what its standard input and output are.
    writable: [staging, '/dev/null'],
    readable: [...trees, at('..'), at('../../package.json'), modules, '/etc/ld.so.cache'],
    executable: [realpathSync(process.execPath), '/lib', '/lib64', '/usr/lib', '/usr/lib64'],
  }
}
