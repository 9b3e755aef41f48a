/**
 * Who logs in where, for one caller and one repository: as whom they said, at the registry they named, and nowhere else; else, and at
 * mirrors, as whom the node's own keyring has, one after the other; where it has nobody, anonymously.
 */
import { DOCKER_HUB, isDockerHub } from '../reference/registry-name.ts'
import { Flights } from '../task/flights.ts'
import type { Abortable } from '../task/task.ts'
import { cancelledBy } from './errors.ts'
import type { Host } from './hosts.ts'
import type { Candidates, Credentials, Keyring } from './registry.ts'

const anonymous: Credentials = { kind: 'anonymous' }

export class Logins {
  readonly #given: Credentials
  readonly #keyring: Keyring | undefined
  readonly #found = new Map<string, Candidates>()
  /** Layers ask at the same time, and who leaves takes nothing from the others. */
  readonly #asking = new Flights<string, Candidates>()
  /** What was let in. */
  readonly #good = new Map<string, Credentials>()
  /** Milliseconds that requests have waited for what shows who logs in. */
  tookMs = 0

  constructor(given: Credentials, keyring: Keyring | undefined) {
    this.#given = given
    this.#keyring = keyring
  }

  /** At least one, in the order to try. Throws cancelled. */
  async at(host: Host, repository: string, options: Abortable): Promise<readonly Credentials[]> {
    if (host.named && this.#given.kind !== 'anonymous') return [this.#given]
    const good = this.#good.get(keyOf(host, repository))
    if (good !== undefined) return [good]
    const { logins } = await this.#candidates(host, repository, options)
    return logins.length === 0 ? [anonymous] : logins
  }

  /** Requests that come after begin with it. */
  letIn(host: Host, repository: string, credentials: Credentials): void {
    this.#good.set(keyOf(host, repository), credentials)
  }

  /** Forgets who was let in, and is refused now: a cloud's login ends after hours. True where the keyring may know better by now. */
  forget(host: Host, repository: string): boolean {
    const key = keyOf(host, repository)
    return this.#good.delete(key) && this.#found.delete(key)
  }

  /** What kept a login from being found, for who is refused without it. */
  problems(host: Host, repository: string): readonly string[] {
    return this.#found.get(keyOf(host, repository))?.problems ?? []
  }

  async #candidates(host: Host, repository: string, options: Abortable): Promise<Candidates> {
    const keyring = this.#keyring
    if (keyring === undefined) return { logins: [], problems: [] }
    const key = keyOf(host, repository)
    const known = this.#found.get(key)
    if (known !== undefined) return known
    const registry = isDockerHub(host.name) ? DOCKER_HUB : host.name
    const ask = async (signal: AbortSignal): Promise<Candidates> => {
      const found = await keyring.candidates({ registry, repository }, { signal })
      this.#found.set(key, found)
      return found
    }
    try {
      return await this.#asking.join(key, ask, options)
    } catch (error) {
      throw options.signal.aborted ? cancelledBy(options.signal) : error
    }
  }
}

const keyOf = ({ name }: Host, repository: string): string => `${name}/${repository}`
