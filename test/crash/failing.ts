/**
 * Calls of the kernel's that fail: strace answers the nth of one kind, every other time all from the nth on, with EIO, ENOSPC or EDQUOT, in
 * every thread of the daemon and in the extractors: the first of each kind, then the second of each, and so on. Pulls run meanwhile; then the power is cut. Whatever was answered must be there all the same: so
 * nothing was recorded after a sync that had failed.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { RpcError } from '../../src/rpc/status.ts'
import type { Abortable } from '../../src/task/task.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { createRandom, type Random } from '../support/random.ts'
import { Disk } from './disk.ts'
import { type Fleet, makeFleet, pickSome, putFleet } from './fleet.ts'
import { Alone } from './machine.ts'
import { newTally, type Tally } from './tally.ts'
import { Victim } from './victim.ts'

const CALLS = ['fsync', 'fdatasync', 'syncfs', 'rename', 'renameat2', 'pwrite64', 'ftruncate', 'mkdir', 'write'] as const
const ERRORS = ['EIO', 'ENOSPC', 'EDQUOT'] as const
/** A daemon that was told of a failure may be stuck: a pull that takes longer than this is one that has to be seen to. */
const PATIENCE_MS = 60_000

export async function runFailures(
  count: number,
  seed: number,
  { signal, onRun }: Abortable & { onRun?: (tally: Tally) => void },
): Promise<Tally> {
  const tally = newTally('calls that fail, then a power cut (C3, C4)')
  const fleet = makeFleet(seed, { images: 6, filesPerLayer: 40 })
  await using registry = await startRegistry()
  putFleet(registry, fleet)
  using disk = new Disk()
  let failed = 0
  const victim = new Victim(new Alone(disk.dir), registry.host, fleet, tally)
  for (let run = 0; run < count; run++) {
    const random = createRandom(seed * 1_000_003 + run)
    const wrong = wrongIn(run)
    failed += await once(victim, disk, fleet, random, wrong, `seed ${seed} run ${run}, ${wrong.inject}`, tally, { signal })
    tally.runs++
    onRun?.(tally)
  }
  if (failed === 0) tally.manual.push('no call failed where it mattered: nothing was tried')
  await victim.kill()
  return tally
}

/** Which call fails, and how, in strace's words. */
type Wrong = { readonly call: string; readonly inject: string }

function wrongIn(run: number): Wrong {
  const [round, at] = [Math.floor(run / CALLS.length), run % CALLS.length]
  const [call, error] = [CALLS[at] ?? 'write', ERRORS[(round + at) % ERRORS.length] ?? 'EIO']
  return { call, inject: `${call}:error=${error}:when=${1 + round}${(round + at) % 2 === 0 ? '' : '+'}` }
}

/** Returns how many starts and pulls failed of it. */
async function once(
  victim: Victim,
  disk: Disk,
  fleet: Fleet,
  random: Random,
  wrong: Wrong,
  when: string,
  tally: Tally,
  { signal }: Abortable,
): Promise<number> {
  if (victim.isRunning) await victim.kill()
  const wrapper = [
    'strace',
    '--seccomp-bpf',
    '-f',
    '-qq',
    '-o',
    '/dev/null',
    '-e',
    `trace=${wrong.call}`,
    '-e',
    `inject=${wrong.inject}`,
  ]
  const failed = await failWhilePulling(victim, fleet, random, when, tally, wrapper, { signal })
  disk.cut()
  if (victim.isRunning) await victim.kill()
  await disk.powerOn({ signal })
  await victim.start({ signal })
  await victim.check(when, { signal })
  for (const image of pickSome(fleet.images, random, 2)) await victim.pull(image, { signal })
  await victim.check(`${when}, pulled again`, { signal })
  await victim.checkLeftovers(when, { signal })
  for (const image of pickSome(fleet.images, random, 3)) await victim.remove(image, { signal })
  return failed
}

async function failWhilePulling(
  victim: Victim,
  fleet: Fleet,
  random: Random,
  when: string,
  tally: Tally,
  wrapper: readonly string[],
  { signal }: Abortable,
): Promise<number> {
  try {
    await victim.start({ signal, wrapper })
  } catch {
    // Its own start failed, and it said so by ending; what it leaves is looked at below.
    signal.throwIfAborted()
    return 1
  }
  const patience = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)])
  const wanted = pickSome(fleet.images, random, 3)
  const results = await Promise.allSettled(wanted.map((image) => victim.pull(image, { signal: patience })))
  if (patience.aborted) tally.manual.push(`${when}: a pull had no end`)
  for (const result of results) {
    if (result.status === 'fulfilled') continue
    const code = result.reason instanceof RpcError ? result.reason.code : String(result.reason)
    // UNAVAILABLE: the daemon itself has gone, as it does where it can no longer change anything.
    if (code !== 'UNKNOWN' && code !== 'UNAVAILABLE') tally.manual.push(`${when}: a pull failed with ${code}`)
  }
  await delay(random.below(50), undefined, { signal })
  return results.filter(({ status }) => status === 'rejected').length
}
