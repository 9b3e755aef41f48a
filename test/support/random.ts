/** Chance that can be repeated: everything made from one seed is the same on every machine. */

export interface Random {
  /** A whole number from 0 up to, and without, `bound`. */
  below(bound: number): number
  /** True `share` of the time. */
  chance(share: number): boolean
  pick<T>(from: readonly [T, ...T[]]): T
  bytes(length: number): Buffer
}

/** xorshift128 (Marsaglia 2003), its state spread from the seed by a multiplicative hash. */
export function createRandom(seed: number): Random {
  const state = new Uint32Array(4)
  for (let i = 0; i < 4; i++) state[i] = Math.imul((seed ^ (i * 0x9e3779b9)) + 0x7f4a7c15, 0x85ebca6b) | 1
  const next = (): number => {
    let t = state[3] ?? 0
    const s = state[0] ?? 0
    state.copyWithin(1, 0, 3)
    t ^= t << 11
    t ^= t >>> 8
    state[0] = t ^ s ^ (s >>> 19)
    return state[0] ?? 0
  }
  for (let i = 0; i < 16; i++) next()
  const below = (bound: number): number => Math.floor((next() / 2 ** 32) * bound)
  return {
    below,
    chance: (share) => next() / 2 ** 32 < share,
    pick: (from) => from[below(from.length)] ?? from[0],
    bytes: (length) => Buffer.from(Array.from({ length }, () => next() & 0xff)),
  }
}
