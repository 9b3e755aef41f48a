/** A thread that renames without pause: a directory of a staged tree changes places with a symlink to the victim, and back. */
import { parentPort, workerData } from 'node:worker_threads'
import { AT, cstr, renameat2 } from '../../src/sys/libc.ts'

const RENAME_EXCHANGE = 2

/** `pairs` are swapped in turn, where both are there. `control` holds 1 as long as the race is on; `count` the swaps that worked. */
export type Race = { readonly pairs: readonly (readonly [string, string])[]; readonly control: SharedArrayBuffer }

const { pairs, control }: Race = workerData
const state = new Int32Array(control)
const paths = pairs.map(([one, other]) => [cstr(one), cstr(other)] as const)
parentPort?.postMessage('ready')
while (Atomics.load(state, 0) === 1)
  for (const [one, other] of paths) if (renameat2(AT.FDCWD, one, AT.FDCWD, other, RENAME_EXCHANGE) === 0) Atomics.add(state, 1, 1)
