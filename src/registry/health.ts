/**
 * What all pulls know of hosts: who asked to be left alone until when, and who did not deliver lately. One pull's refusal is every
 * pull's, and a mirror that is down costs one of them its patience, not each.
 */
import type { Host } from './hosts.ts'
import { type Pause, type PauseKind, Pauses } from './pauses.ts'
import { jitter } from './retry.ts'

const FIRST_REST_MS = 30_000
const MAX_REST_MS = 300_000
const USELESS_MS = 600_000
/** Hosts come from hosts.toml and from references, which pods choose. */
const MAX_REMEMBERED = 1_000

/** Times on the clock of `performance`. */
type Record = { failures: number; downUntil: number; rangesUselessUntil: number }

export class HostHealth {
  readonly #records = new Map<string, Record>()
  readonly #pauses: Pauses
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#pauses = new Pauses(now)
  }

  /** In their order, those that did not deliver lately behind the others: they may have come back, and nobody waits for them. */
  order(hosts: readonly Host[]): { readonly up: readonly Host[]; readonly down: readonly Host[] } {
    const isDown = ({ name }: Host): boolean => (this.#known(name)?.downUntil ?? 0) > this.#now()
    const up = hosts.filter((host) => !isDown(host))
    return up.length === 0 ? { up: hosts, down: [] } : { up, down: hosts.filter(isDown) }
  }

  /** It was given up. Those who find it down at the same time count once. */
  failed({ name }: Host): void {
    const record = this.#record(name)
    if (record.downUntil > this.#now()) return
    record.failures++
    record.downUntil = this.#now() + Math.min(MAX_REST_MS, FIRST_REST_MS * 2 ** (record.failures - 1)) * jitter()
  }

  served({ name }: Host): void {
    this.#pauses.answered(name)
    const record = this.#known(name)
    if (record === undefined) return
    record.failures = 0
    record.downUntil = 0
  }

  /** It asked for a pause, for everybody. */
  pause({ name }: Host, ms: number, kind: PauseKind): void {
    this.#pauses.begin(name, ms, kind)
  }

  /** The pause that keeps this caller away; undefined: ask now. */
  enter({ name }: Host): Pause | undefined {
    return this.#pauses.enter(name)
  }

  /** It said no, but it said something. */
  answered({ name }: Host): void {
    this.#pauses.answered(name)
  }

  /** Whether several connections for one blob may be worth it: unless they have turned out not to be, a while ago at most. */
  isRangeWorthwhile({ name }: Host): boolean {
    return (this.#known(name)?.rangesUselessUntil ?? 0) <= this.#now()
  }

  rangesWereUseless({ name }: Host): void {
    this.#record(name).rangesUselessUntil = this.#now() + USELESS_MS
  }

  #known(name: string): Record | undefined {
    const record = this.#records.get(name)
    if (record === undefined) return undefined
    // The map's order is the order of use.
    this.#records.delete(name)
    this.#records.set(name, record)
    return record
  }

  #record(name: string): Record {
    const known = this.#known(name)
    if (known !== undefined) return known
    const record = { failures: 0, downUntil: 0, rangesUselessUntil: 0 }
    this.#records.set(name, record)
    for (const oldest of this.#records.keys()) {
      if (this.#records.size <= MAX_REMEMBERED) break
      this.#records.delete(oldest)
    }
    return record
  }
}
