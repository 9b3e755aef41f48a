/**
 * What all pulls know of hosts: who asked to be left alone until when, and who did not deliver lately. One pull's refusal is every
 * pull's, and a mirror that is down costs one of them its patience, not each.
 */
import type { Host } from './hosts.ts'
import { jitter } from './retry.ts'

const FIRST_REST_MS = 30_000
const MAX_REST_MS = 300_000
const USELESS_MS = 600_000
/** Hosts come from hosts.toml and from references, which pods choose. */
const MAX_REMEMBERED = 1_000

/** Times on the clock of `performance`. */
type Record = { failures: number; downUntil: number; closedUntil: number; rangesUselessUntil: number }

export class HostHealth {
  readonly #records = new Map<string, Record>()
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** In their order, those that did not deliver lately behind the others: they may have come back, and nobody waits for them. */
  order(hosts: readonly Host[]): { readonly up: readonly Host[]; readonly down: readonly Host[] } {
    const isDown = ({ name }: Host): boolean => (this.#records.get(name)?.downUntil ?? 0) > this.#now()
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
    const record = this.#records.get(name)
    if (record === undefined) return
    record.failures = 0
    record.downUntil = 0
  }

  /** It asked for a pause (RFC 9110 §10.2.3): a later end wins over an earlier one. */
  close({ name }: Host, ms: number): void {
    const record = this.#record(name)
    record.closedUntil = Math.max(record.closedUntil, this.#now() + ms)
  }

  /** How long the pause has still to go. */
  opensInMs({ name }: Host): number {
    return Math.max(0, (this.#records.get(name)?.closedUntil ?? 0) - this.#now())
  }

  /** Whether several connections for one blob may be worth it: unless they have turned out not to be, a while ago at most. */
  isRangeWorthwhile({ name }: Host): boolean {
    return (this.#records.get(name)?.rangesUselessUntil ?? 0) <= this.#now()
  }

  rangesWereUseless({ name }: Host): void {
    this.#record(name).rangesUselessUntil = this.#now() + USELESS_MS
  }

  #record(name: string): Record {
    const known = this.#records.get(name)
    if (known !== undefined) return known
    const record = { failures: 0, downUntil: 0, closedUntil: 0, rangesUselessUntil: 0 }
    this.#records.set(name, record)
    for (const oldest of this.#records.keys()) {
      if (this.#records.size <= MAX_REMEMBERED) break
      this.#records.delete(oldest)
    }
    return record
  }
}
