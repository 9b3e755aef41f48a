/** Whether a host's ranges are of use for one blob: where they are not, all of it is asked for, and what is here already passed over. */
import type { Trouble } from './errors.ts'
import type { Host } from './hosts.ts'

/** Ranges in a row that bring nothing, until the whole is asked for instead. */
const MAX_DOUBTS = 2

export class RangeTrust {
  /** Their ranges are wrong. */
  readonly #rangeless = new Set<string>()
  /** Where ranges brought nothing: how often in a row. */
  readonly #doubts = new Map<string, number>()

  areUsable({ name }: Host): boolean {
    return !this.#rangeless.has(name) && (this.#doubts.get(name) ?? 0) < MAX_DOUBTS
  }

  areWrong({ name }: Host): void {
    this.#rangeless.add(name)
  }

  served({ name }: Host): void {
    this.#doubts.delete(name)
  }

  /** One of them ended like this, and brought nothing. */
  failed({ name }: Host, trouble: Trouble): void {
    if (isTheirFault(trouble)) this.#doubts.set(name, (this.#doubts.get(name) ?? 0) + 1)
  }

  /** Several at once brought nothing, where an answer without a range has just done well. */
  allFailed({ name }: Host, trouble: Trouble): void {
    if (!isNobodyThere(trouble)) this.#doubts.set(name, MAX_DOUBTS)
  }

  /** Without a range nothing new came either: it may have been the network, and a range goes on further than an answer from the beginning. */
  wholeFailed({ name }: Host): void {
    this.#doubts.delete(name)
  }
}

const isNobodyThere = (trouble: Trouble): boolean => trouble.kind === 'unreachable' && trouble.definite

/** A status says nothing of ranges (but 416): whoever restarts answers 503 to everything. */
const isTheirFault = (trouble: Trouble): boolean =>
  (trouble.kind === 'unreachable' && !trouble.definite) || (trouble.kind === 'server-error' && trouble.status === undefined)
