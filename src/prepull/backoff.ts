/** When a pull that failed is tried again: as kubelet does it, twice as long each time, up to five minutes (images.maxBackoff). */

const FIRST_MS = 10_000
const LONGEST_MS = 300_000

/** After so many attempts in a row; a random half of it is taken away, so that the nodes of a fleet do not ask together. */
export function backoffMs(attempts: number, random: () => number): number {
  const whole = Math.min(FIRST_MS * 2 ** (attempts - 1), LONGEST_MS)
  return Math.round(whole * (1 - random() / 2))
}

/** Around an interval, a tenth of it to either side. */
export const jittered = (ms: number, random: () => number): number => Math.round(ms * (0.9 + random() * 0.2))
