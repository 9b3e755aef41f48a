/** How many layers are unpacked at once, and by how many processors. */
import type { Config } from '../config/config.ts'
import type { Share } from '../sys/cgroup.ts'

/** What the daemon itself takes while it pulls, and what an extractor takes with what it has written and is not on disk yet. */
const DAEMON = 128 * 2 ** 20
const EXTRACTOR = 96 * 2 ** 20

/**
 * As many as there are CPUs: with one more they are in each other's way (bench/NOTES.md). On one CPU two, so that one can stand still for a
 * pod's pull, or wait for bytes. No more than there is memory for, and always one.
 */
export function workersFor({ unpackWorkers }: Pick<Config, 'unpackWorkers'>, { cpus, memory }: Share): number {
  if (unpackWorkers > 0) return unpackWorkers
  return Math.max(1, Math.min(Math.max(2, Math.ceil(cpus)), Math.floor((memory - DAEMON) / EXTRACTOR)))
}

/** What they may take in all: a thread that helps one of them is in the place of another. */
export const processorsFor = (workers: number, { cpus }: Pick<Share, 'cpus'>): number => Math.min(workers, Math.floor(cpus))
