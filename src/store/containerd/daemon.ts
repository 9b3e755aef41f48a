/** Calls of containerd as this store makes them: in its namespace, with a deadline, failing with our failures. */
import { type Failure, failureOf, WindlassError } from '../../failure/failure.ts'
import { type Containerd, connectContainerd } from '../../rpc/containerd.ts'
import type { ContentToWrite, ContentWriter } from '../../rpc/content-writer.ts'
import type { CallOptions } from '../../rpc/services.ts'
import { probe } from '../../rpc/socket.ts'
import { RpcError } from '../../rpc/status.ts'
import type { Abortable } from '../../task/task.ts'
import { NAMESPACE } from './names.ts'

/** Longer than any of these calls takes; a Commit walks its tree. */
const DEADLINE_MS = 120_000

/** A restart takes a second or two; calls through CRI wait as long (rpc/upstream.ts). */
const PATIENCE_MS = 5_000

/** Shorter than what systemd, or a supervisor, leaves us. */
const GRACE_MS = 3_000

type Code = RpcError['code']

export class Daemon implements Disposable {
  readonly socket: string
  readonly #containerd: Containerd
  readonly #closing = new AbortController()
  readonly #deadlineMs: number
  #ending: NodeJS.Timeout | undefined

  constructor(socket: string, deadlineMs = DEADLINE_MS, namespace = NAMESPACE) {
    this.socket = socket
    this.#containerd = connectContainerd(socket, namespace)
    this.#deadlineMs = deadlineMs
  }

  /**
   * One call. `operation` completes the sentence "containerd did not …"; `lease` holds what the call makes. Waits for a containerd that is
   * being restarted. Throws runtime; runtime-down; no-space; cancelled after the store has been closed.
   */
  async call<T>(operation: string, make: (c: Containerd, options: CallOptions) => Promise<T>, lease?: string): Promise<T> {
    await this.#reach()
    try {
      return await make(this.#containerd, this.#options(lease))
    } catch (error) {
      throw this.#failed(operation, error)
    }
  }

  /** The same where one outcome besides success is expected; undefined for it. */
  async callUnless<T>(
    code: Code,
    operation: string,
    make: (c: Containerd, options: CallOptions) => Promise<T>,
    lease?: string,
  ): Promise<T | undefined> {
    await this.#reach()
    try {
      return await make(this.#containerd, this.#options(lease))
    } catch (error) {
      if (error instanceof RpcError && error.code === code) return undefined
      throw this.#failed(operation, error)
    }
  }

  /**
   * What takes something back, and may be done twice: once more where containerd goes away under it, because the end of what failed with
   * it finds the connection not yet known to be broken. Throws as `work` does.
   */
  async undo(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (failureOf(error).kind !== 'runtime-down') throw error
      await work()
    }
  }

  /** Content of any size, piece by piece; `lease` holds it. Its promises reject as `call` does, and with the signal's reason. */
  writing(content: ContentToWrite, lease: string, options: Abortable): ContentWriter {
    const signal = AbortSignal.any([options.signal, this.#closing.signal])
    signal.throwIfAborted()
    const writer = this.#containerd.openContent(content, this.#containerd.under(lease, { signal }))
    const told = async (work: Promise<void>): Promise<void> => {
      try {
        await this.#inTime(work)
      } catch (error) {
        throw signal.aborted ? signal.reason : this.#failed('keep a blob', error)
      }
    }
    return {
      write: (chunk) => {
        const full = writer.write(chunk)
        return full === undefined ? undefined : told(full)
      },
      commit: () => told(writer.commit()),
      [Symbol.dispose]: () => writer[Symbol.dispose](),
    }
  }

  /** Calls under way, and those that tidy up after them, have this long; a containerd that answers needs none of it. */
  stopping(graceMs = GRACE_MS): void {
    this.#ending ??= setTimeout(() => this.#abort(), graceMs)
  }

  get isStopping(): boolean {
    return this.#ending !== undefined
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#ending)
    this.#abort()
    this.#containerd[Symbol.dispose]()
  }

  #abort(): void {
    this.#closing.abort(new WindlassError({ kind: 'cancelled', reason: 'shutdown' }))
  }

  /** A blob may take as long as it takes, but containerd must get on with it: a pull that nobody gives up would wait for ever. */
  async #inTime(work: Promise<void>): Promise<void> {
    const { promise, reject } = Promise.withResolvers<never>()
    const seconds = this.#deadlineMs / 1000
    const late = new RpcError('DEADLINE_EXCEEDED', `it took nothing more for ${seconds} s`, undefined, undefined)
    const timer = setTimeout(() => reject(late), this.#deadlineMs)
    try {
      await Promise.race([work, promise])
    } finally {
      clearTimeout(timer)
    }
  }

  async #reach(): Promise<void> {
    const { signal } = this.#closing
    if (await this.#containerd.reach(PATIENCE_MS, { signal })) return
    const answer = await probe(this.socket, { signal })
    throw this.#down(answer.kind === 'alive' ? 'it takes no connection' : answer.reason)
  }

  #down(reason: string, cause?: unknown): WindlassError {
    return new WindlassError({ kind: 'runtime-down', runtime: 'containerd', socket: this.socket, reason }, cause)
  }

  #options(lease: string | undefined): CallOptions {
    const { signal } = this.#closing
    return { ...this.#containerd.under(lease, { signal }), deadline: new Date(Date.now() + this.#deadlineMs) }
  }

  #failed(operation: string, error: unknown): unknown {
    if (!(error instanceof RpcError)) return error
    if (this.#closing.signal.aborted) return this.#closing.signal.reason
    const { code, message: detail } = error
    if (code === 'UNAVAILABLE') return this.#down('it went away during the call', error)
    const full = fullDisk(detail)
    if (full !== undefined) return new WindlassError(full, error)
    const failure: Failure = { kind: 'runtime', runtime: 'containerd', socket: this.socket, operation, code, detail }
    return new WindlassError(failure, error)
  }
}

/** A full disk as Go says it: the same disk, so nothing that containerd's own pull would survive. */
function fullDisk(detail: string): Failure | undefined {
  const [, path, reason] = /(?:(\/\S+): )?(no space left on device|disk quota exceeded)/.exec(detail) ?? []
  if (reason === undefined) return undefined
  return { kind: 'no-space', code: reason.startsWith('no') ? 'ENOSPC' : 'EDQUOT', ...(path === undefined ? {} : { path }) }
}
