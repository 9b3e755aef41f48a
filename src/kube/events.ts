/**
 * Events of the node, as `kubectl describe node` and `kubectl get events` show them: one for each thing that goes wrong, its count raised when
 * it does again, and few of them: a registry that is down must not fill etcd.
 */
import { createHash } from 'node:crypto'
import { type Api, type Mishap, Refused, type Told } from './kube.ts'

export type EventsOptions = Told & {
  readonly api: Api
  readonly node: string
  /** One and the same is written at most once in this time; by default a minute. */
  readonly everyMs?: number
}

const EVERY_MS = 60_000
/** Things that are told apart; the one that has not gone wrong for the longest time is forgotten first. */
const MAX_KNOWN = 256
/** Written at once, and from then on one every ten seconds. */
const BURST = 25
const REFILL_MS = 10_000
const MAX_MESSAGE = 1_024
/** Events about what has no namespace are kept there. */
const NAMESPACE = 'default'
const COMPONENT = 'windlass'

type Known = {
  readonly reason: string
  readonly first: Date
  last: Date
  message: string
  count: number
  /** The count that is written; 0: none. */
  written: number
  writtenAt: number
}

export class Events implements AsyncDisposable {
  readonly #options: EventsOptions
  readonly #closing = new AbortController()
  /** In the order in which they last went wrong. */
  readonly #known = new Map<string, Known>()
  #tokens = BURST
  #filledAt = performance.now()
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> | undefined

  constructor(options: EventsOptions) {
    this.#options = options
  }

  add({ reason, subject, message: text }: Mishap): void {
    const key = `${reason} ${subject}`
    const now = new Date()
    const before = this.#known.get(key)
    const message = text.slice(0, MAX_MESSAGE)
    const fresh: Known = { reason, first: now, last: now, message, count: 1, written: 0, writtenAt: Number.NEGATIVE_INFINITY }
    const known = before === undefined ? fresh : Object.assign(before, { last: now, message, count: before.count + 1 })
    this.#known.delete(key)
    this.#known.set(key, known)
    const [oldest] = this.#known.keys()
    if (this.#known.size > MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest)
    this.#writeIn(0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer)
    this.#closing.abort()
    await this.#writing
  }

  #writeIn(ms: number): void {
    if (this.#closing.signal.aborted || this.#writing !== undefined) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#writing = this.#writeAll().then((next) => {
        this.#writing = undefined
        if (next !== undefined) this.#writeIn(next)
      })
    }, ms).unref()
  }

  /** Returns after how long there may be more to write. */
  async #writeAll(): Promise<number | undefined> {
    const { everyMs = EVERY_MS } = this.#options
    for (;;) {
      if (this.#closing.signal.aborted) return undefined
      const now = performance.now()
      const waiting = [...this.#known.entries()].filter(([, { count, written }]) => count > written)
      const due = waiting.find(([, { writtenAt }]) => writtenAt + everyMs <= now)
      if (due === undefined) {
        const soonest = Math.min(...waiting.map(([, { writtenAt }]) => writtenAt + everyMs - now))
        return Number.isFinite(soonest) ? Math.max(0, soonest) : undefined
      }
      if (!this.#mayWrite(now)) return REFILL_MS
      await this.#write(...due)
    }
  }

  #mayWrite(now: number): boolean {
    const filled = Math.floor((now - this.#filledAt) / REFILL_MS)
    this.#tokens = Math.min(BURST, this.#tokens + filled)
    this.#filledAt += filled * REFILL_MS
    if (this.#tokens === 0) return false
    this.#tokens--
    return true
  }

  async #write(key: string, known: Known): Promise<void> {
    const { log, onWrite } = this.#options
    const { count } = known
    // Whatever becomes of it, it is not tried again at once.
    known.writtenAt = performance.now()
    try {
      await this.#send(key, known)
      known.written = count
      onWrite('events', 'done')
    } catch (error) {
      if (this.#closing.signal.aborted) return
      onWrite('events', 'failed')
      log.warn({ reason: known.reason, err: error }, 'an Event could not be written; it is, with the next of its kind')
      known.written = count
    }
  }

  /** The Event is made anew where it is no longer there: the API server forgets it after an hour. */
  async #send(key: string, known: Known): Promise<void> {
    const { api } = this.#options
    const signal = { signal: this.#closing.signal }
    const { node } = this.#options
    const name = nameOf(node, `${key} ${known.first.getTime()}`)
    const path = `/api/v1/namespaces/${NAMESPACE}/events`
    const { count, message, last } = known
    const change = { count, message, lastTimestamp: timeOf(last) }
    const raise = () =>
      api.send({ method: 'PATCH', path: `${path}/${name}`, type: 'application/strategic-merge-patch+json', body: change }, signal)
    if (known.written > 0) {
      try {
        await raise()
        return
      } catch (error) {
        if (!(error instanceof Refused) || error.status !== 404) throw error
      }
    }
    try {
      await api.send({ method: 'POST', path, body: this.#event(name, known, change) }, signal)
    } catch (error) {
      // The answer to an earlier try was lost.
      if (!(error instanceof Refused) || error.status !== 409) throw error
      await raise()
    }
  }

  #event(name: string, { reason, first }: Known, change: object): object {
    const { node } = this.#options
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace: NAMESPACE },
      // kubelet's own Events name a node by its name in place of its uid, and kubectl looks for both.
      involvedObject: { apiVersion: 'v1', kind: 'Node', name: node, uid: node },
      type: 'Warning',
      reason,
      firstTimestamp: timeOf(first),
      ...change,
      source: { component: COMPONENT, host: node },
      reportingComponent: COMPONENT,
      reportingInstance: node,
    }
  }
}

/** A DNS subdomain (RFC 1123) of 253 characters at most, as a node's own name may have. */
const nameOf = (node: string, about: string): string =>
  `${node.slice(0, 236).replace(/[^a-z0-9]+$/, '')}.${createHash('sha256').update(about).digest('hex').slice(0, 16)}`

/** metav1.Time has whole seconds. */
const timeOf = (date: Date): string => date.toISOString().replace(/\.\d+/, '')
