/** One lease for all that use the same thing: taken by the first, given back by the last of as many as will. Disposing it gives back the rest. */
export class SharedLeases<K> implements AsyncDisposable {
  readonly #make: (key: K) => Promise<AsyncDisposable>
  /** How many have yet to give it back. */
  readonly #left = new Map<K, number>()
  readonly #made = new Map<K, Promise<AsyncDisposable>>()

  /** `users` has each key as often as it will be taken. */
  constructor(users: readonly K[], make: (key: K) => Promise<AsyncDisposable>) {
    this.#make = make
    for (const key of users) this.#left.set(key, (this.#left.get(key) ?? 0) + 1)
  }

  /** Where it could not be made, the next one tries anew. */
  async take(key: K): Promise<AsyncDisposable> {
    const made = this.#made.get(key) ?? this.#make(key)
    this.#made.set(key, made)
    try {
      await made
    } catch (error) {
      if (this.#made.get(key) === made) this.#made.delete(key)
      throw error
    }
    return { [Symbol.asyncDispose]: () => this.#giveBack(key, made) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const rest = [...this.#made.values()]
    this.#made.clear()
    for (const made of rest) await (await made)[Symbol.asyncDispose]()
  }

  async #giveBack(key: K, made: Promise<AsyncDisposable>): Promise<void> {
    const left = (this.#left.get(key) ?? 1) - 1
    this.#left.set(key, left)
    if (left > 0) return
    this.#made.delete(key)
    await (await made)[Symbol.asyncDispose]()
  }
}
