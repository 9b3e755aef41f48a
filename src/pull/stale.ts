/**
 * Tags that are answered with what they named last while their registry cannot be reached. It is for repositories whose owner has asked
 * for it: what such a tag names by now nobody knows, and nobody's login was looked at.
 */
import type { Digest } from '../oci/digest.ts'
import { formatReference, formatRepository } from '../reference/parse.ts'
import type { Reference } from '../reference/reference.ts'

/** A tag that was answered so, and from when on. */
export type StaleTag = { readonly reference: string; readonly digest: Digest; readonly since: Date }

export class StaleTags {
  readonly #prefixes: readonly string[]
  readonly #tags = new Map<string, StaleTag>()

  /** Of repositories in normal form: `registry.example/team` is for `team` and what is below it. */
  constructor(prefixes: readonly string[] = []) {
    this.#prefixes = prefixes.map((prefix) => prefix.replace(/\/$/, ''))
  }

  mayAnswer(reference: Reference): boolean {
    if (reference.digest !== undefined) return false
    const repository = formatRepository(reference)
    return this.#prefixes.some((prefix) => repository === prefix || repository.startsWith(`${prefix}/`))
  }

  answered(reference: Reference, digest: Digest): void {
    const name = formatReference(reference)
    const before = this.#tags.get(name)
    if (before?.digest !== digest) this.#tags.set(name, { reference: name, digest, since: new Date() })
  }

  /** The registry has told what it names. */
  refreshed(reference: Reference): void {
    this.#tags.delete(formatReference(reference))
  }

  list(): readonly StaleTag[] {
    return [...this.#tags.values()]
  }
}
