/** How many layers are unpacked at once. */
import type { Config } from '../config/config.ts'
import type { Share } from '../sys/cgroup.ts'

/** What the daemon itself takes while it pulls, and what an extractor takes with what it has written and is not on disk yet. */
const DAEMON = 128 * 2 ** 20
const EXTRACTOR = 96 * 2 ** 20

/** One more than there are CPUs: while one worker waits for bytes, another uses its core. No more than there is memory for, and always one. */
export function workersFor({ unpackWorkers }: Pick<Config, 'unpackWorkers'>, { cpus, memory }: Share): number {
  if (unpackWorkers > 0) return unpackWorkers
  return Math.max(1, Math.min(Math.ceil(cpus) + 1, Math.floor((memory - DAEMON) / EXTRACTOR)))
}
