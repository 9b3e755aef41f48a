/**
 * Our own way of pulling beside a runtime: open whenever it can be, while the socket answers either way. The runtime may start after us,
 * be restarted, or be replaced; what cannot be opened now is tried again.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { describe, type Failure, failureOf } from '../failure/failure.ts'
import { pullAgain } from '../pull/again.ts'
import { type Connection, connect } from '../rpc/client.ts'
import { inspectRuntime } from '../runtime/inspect.ts'
import type { RuntimeAddress, RuntimeFacts } from '../runtime/runtime.ts'
import type { Basics } from './basics.ts'
import { collectAtStart, openNode, type PullNode } from './node.ts'
import type { Observers } from './observers.ts'

const FIRST_WAIT_MS = 250
const LONGEST_WAIT_MS = 15_000
/** How long a runtime may take to describe itself. */
const PATIENCE_MS = 10_000
/** A runtime that was restarted may have another configuration. */
const ASK_AGAIN_MS = 30_000

/** What is there while the path is open. */
export type OpenPath = { readonly node: PullNode; readonly facts: RuntimeFacts; readonly cri: Connection }
/** `down` where it is the runtime that is missing. */
export type PathState = OpenPath | { readonly missing: string; readonly down?: Failure }

export class OwnPath implements AsyncDisposable {
  readonly address: RuntimeAddress
  readonly #basics: Basics
  readonly #observers: Observers
  readonly #onOpen: (isOpen: boolean) => void
  readonly #closing = new AbortController()
  readonly #kept: Promise<void>
  #state: PathState = { missing: 'it is being opened' }

  /** `onOpen` hears whenever it is opened or lost; must not throw. */
  constructor(basics: Basics, address: RuntimeAddress, observers: Observers, onOpen: (isOpen: boolean) => void) {
    this.address = address
    this.#onOpen = onOpen
    onOpen(false)
    this.#observers = observers
    this.#basics = basics
    this.#kept = this.#keepOpen()
  }

  get state(): PathState {
    return this.#state
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#kept
  }

  async #keepOpen(): Promise<void> {
    const { signal } = this.#closing
    for (let wait = FIRST_WAIT_MS; !signal.aborted; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
      try {
        await this.#open(() => {
          wait = FIRST_WAIT_MS
        })
      } catch (error) {
        if (signal.aborted) return
        const failure = failureOf(error)
        const missing = describe(failure)
        // A runtime that is down says the same each time.
        if (!('missing' in this.#state) || this.#state.missing !== missing)
          this.#basics.log.error(
            { runtime: this.address, err: error },
            'pulls go to the runtime until our own path can be opened',
          )
        this.#state = { missing, ...(failure.kind === 'runtime-down' ? { down: failure } : {}) }
      }
      await delay(wait, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  /** Opens it, and stays until it is closed or lost. */
  async #open(onOpen: () => void): Promise<void> {
    const { log } = this.#basics
    const { signal } = this.#closing
    const ended = Promise.withResolvers<void>()
    const closed = new AbortController()
    // Lost before anybody waits for it, it is told below.
    ended.promise.catch(() => {})
    using cri = await connect(this.address.socket, { signal, runtime: this.address.kind })
    let facts = await this.#inspect(cri)
    await using node = await openNode(this.#basics, {
      signal,
      mustPull: true,
      runtime: { address: this.address, facts },
      observers: this.#observers,
      onLost: ended.reject,
    })
    const built = builtFrom(facts)
    let isOpen = true
    const enter = (): void => {
      if (isOpen) this.#state = { node, facts, cri }
    }
    enter()
    onOpen()
    this.#onOpen(true)
    const { name, version, obstacles } = facts
    log.info({ ...this.address, name, version, obstacles }, 'pulls land in the runtime')
    // Nobody waits for it.
    void collectAtStart(node, log)
    node.verifier
      .finishRepairs(pullAgain(node.puller, 'cri', undefined), { signal })
      .catch((error: unknown) => log.error({ err: error }, 'what an earlier repair took away could not be pulled again'))
    node.housekeeper.start({ signal: AbortSignal.any([signal, closed.signal]) })
    const asking = setInterval(() => {
      this.#inspect(cri).then(
        (now) => {
          const isOther = !isDeepStrictEqual(builtFrom(now), built)
          facts = now
          enter()
          if (isOther && node.puller.inFlight().length === 0) ended.resolve()
        },
        // It does not answer: a pull will find out for itself, and who asks how it is (runtime/away.ts).
        () => {},
      )
    }, ASK_AGAIN_MS).unref()
    signal.addEventListener('abort', () => ended.resolve(), { once: true })
    if (signal.aborted) ended.resolve()
    try {
      await ended.promise
    } finally {
      closed.abort()
      clearInterval(asking)
      isOpen = false
      this.#state = { missing: 'it is being closed' }
      this.#onOpen(false)
    }
  }

  #inspect(cri: Connection): Promise<RuntimeFacts> {
    return inspectRuntime(this.address, cri, {
      signal: this.#closing.signal,
      deadline: new Date(Date.now() + PATIENCE_MS),
    })
  }
}

/** What the path is built from; where that changes, it is built anew. */
const builtFrom = ({ hostsDir, sandboxImage, registries }: RuntimeFacts): readonly unknown[] => [
  hostsDir,
  sandboxImage,
  registries,
]
