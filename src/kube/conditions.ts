/**
 * Conditions of the node, one for each list: `windlass.dev/LIST` is True while it is whole. Only what differs from what the API server has is
 * patched, by the type of each condition (strategic merge), so that kubelet's own are never touched.
 */
import { z } from 'zod'
import { type Api, type ListStanding, Refused, type Told } from './kube.ts'

export type ConditionsOptions = Told & {
  readonly api: Api
  readonly node: string
  /** By default five minutes, as kubelet has it (nodeStatusReportFrequency). */
  readonly heartbeatMs?: number
  /** A list's images come one after the other: by default a second after the last change. */
  readonly settleMs?: number
}

export const PREFIX = 'windlass.dev/'
const HEARTBEAT_MS = 300_000
const SETTLE_MS = 1_000
/** After a write that was given up. */
const AGAIN_MS = 60_000
const MAX_MESSAGE = 1_024
/** Everybody who watches nodes gets all conditions of each; with some thousands the API server takes none. */
const MAX_LISTS = 100

const conditionSchema = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.string().default(''),
  message: z.string().default(''),
  lastHeartbeatTime: z.string().nullish(),
})
const nodeSchema = z.object({ status: z.object({ conditions: z.array(conditionSchema).default([]) }) })
/** `areAll`: conditions of other lists go. */
type Wanted = { readonly standings: readonly ListStanding[]; readonly areAll: boolean }
type Known = Omit<z.output<typeof conditionSchema>, 'type'>

export class Conditions implements AsyncDisposable {
  readonly #options: ConditionsOptions
  readonly #closing = new AbortController()
  #wanted: Wanted = { standings: [], areAll: false }
  /** What the API server has of ours; unknown until it has been asked. */
  #known: ReadonlyMap<string, Known> | undefined
  #timer: NodeJS.Timeout | undefined
  #dueAt = Number.POSITIVE_INFINITY
  #writing: Promise<void> | undefined

  constructor(options: ConditionsOptions) {
    this.#options = options
  }

  set(wanted: Wanted): void {
    this.#wanted = wanted
    this.#writeIn(this.#options.settleMs ?? SETTLE_MS)
  }

  /** What was not written stays as it is: its lastHeartbeatTime says how old it is. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer)
    this.#closing.abort()
    await this.#writing
  }

  #writeIn(ms: number): void {
    const dueAt = performance.now() + ms
    // Changes that never end must not put it off for ever.
    if (this.#closing.signal.aborted || this.#writing !== undefined || dueAt >= this.#dueAt) return
    clearTimeout(this.#timer)
    this.#dueAt = dueAt
    this.#timer = setTimeout(() => {
      this.#dueAt = Number.POSITIVE_INFINITY
      const before = this.#wanted
      this.#writing = this.#write().then((next) => {
        this.#writing = undefined
        this.#writeIn(this.#wanted === before ? next : (this.#options.settleMs ?? SETTLE_MS))
      })
    }, ms).unref()
  }

  /** Returns when to look again. */
  async #write(): Promise<number> {
    const { heartbeatMs = HEARTBEAT_MS, log, onWrite } = this.#options
    const { signal } = this.#closing
    try {
      // A patch that changes nothing tells what there is, by the same right.
      this.#known ??= await this.#patch([])
      const conditions = this.#changes(this.#known, new Date())
      if (conditions.length > 0) {
        this.#known = await this.#patch(conditions)
        onWrite('nodes', 'done')
      }
      return heartbeatMs
    } catch (error) {
      if (signal.aborted) return heartbeatMs
      onWrite('nodes', 'failed')
      log.warn({ err: error }, 'the conditions of this node could not be written; it is tried again')
      return Math.min(AGAIN_MS, heartbeatMs)
    }
  }

  async #patch(conditions: readonly object[]): Promise<ReadonlyMap<string, Known>> {
    const { api, node } = this.#options
    const answer = await api.send(
      {
        method: 'PATCH',
        path: `/api/v1/nodes/${node}/status`,
        type: 'application/strategic-merge-patch+json',
        body: conditions.length === 0 ? {} : { status: { conditions } },
      },
      { signal: this.#closing.signal },
    )
    const parsed = nodeSchema.safeParse(answer)
    if (!parsed.success) throw new Refused('the API server has answered with something else than a node')
    const ours = parsed.data.status.conditions.filter(({ type }) => type.startsWith(PREFIX))
    return new Map(ours.map(({ type, ...known }) => [type, known]))
  }

  #changes(known: ReadonlyMap<string, Known>, now: Date): readonly object[] {
    const { heartbeatMs = HEARTBEAT_MS, log } = this.#options
    const { standings, areAll } = this.#wanted
    if (standings.length > MAX_LISTS)
      log.warn({ lists: standings.length, told: MAX_LISTS }, 'there are more image lists than a node may have conditions for')
    const told = standings.slice(0, MAX_LISTS)
    const wanted = new Map(told.map((standing) => [`${PREFIX}${standing.name}`, standing]))
    const gone = [...known.keys()].filter((type) => areAll && !wanted.has(type)).map((type) => ({ $patch: 'delete', type }))
    const others = [...wanted].flatMap(([type, { isWhole, reason, message: text }]) => {
      const before = known.get(type)
      const status = isWhole ? 'True' : 'False'
      const message = text.slice(0, MAX_MESSAGE)
      const isSame = before?.status === status && before.reason === reason && before.message === message
      const age = now.getTime() - Date.parse(before?.lastHeartbeatTime ?? '')
      if (isSame && age < heartbeatMs) return []
      const time = now.toISOString().replace(/\.\d+/, '')
      const turned = before?.status === status ? {} : { lastTransitionTime: time }
      return [{ type, status, reason, message, lastHeartbeatTime: time, ...turned }]
    })
    return [...gone, ...others]
  }
}
