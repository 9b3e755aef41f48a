/**
 * SIGKILL at random points of pulls and removals, to the daemon with all it has started or to one extractor, beside containerd to the one,
 * the other or both; every fourth time it is killed again and again while it recovers. Then it starts, is looked at, and pulls once more.
 */
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Abortable } from '../../src/task/task.ts'
import { mounted } from '../integration/process.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { createRandom, type Random } from '../support/random.ts'
import { type Fleet, makeFleet, pickSome, putFleet } from './fleet.ts'
import { Alone, Beside, type Machine } from './machine.ts'
import { newTally, type Tally } from './tally.ts'
import { Victim } from './victim.ts'

const LONGEST_MS = 500
const DEEP = 5
const AT_ONCE = 3

export async function runKills(
  count: number,
  seed: number,
  { signal, beside = false, onRun }: Abortable & { readonly beside?: boolean; readonly onRun?: (tally: Tally) => void },
): Promise<Tally> {
  const tally = newTally(beside ? 'SIGKILL, of containerd too (C1, C6)' : 'SIGKILL (C1, C6)')
  const fleet = makeFleet(seed, { images: 6, filesPerLayer: 60 })
  await using registry = await startRegistry()
  putFleet(registry, fleet)
  await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-kill-'))
  using _disk = mounted(temporary.path, ['-t', 'tmpfs', 'tmpfs'])
  const dir = join(temporary.path, 'node')
  const machine = beside ? new Beside(dir) : new Alone(dir)
  const victim = new Victim(machine, registry.host, fleet, tally)
  await victim.start({ signal })
  for (let run = 0; run < count; run++) {
    // Of its own seed, so that a run can be made again without those before it.
    const random = createRandom(seed * 1_000_003 + run)
    await once(victim, machine, fleet, random, `seed ${seed} run ${run}`, tally, { signal })
    tally.runs++
    onRun?.(tally)
  }
  await victim.kill()
  return tally
}

async function once(
  victim: Victim,
  machine: Machine,
  fleet: Fleet,
  random: Random,
  when: string,
  tally: Tally,
  { signal }: Abortable,
): Promise<void> {
  const wanted = pickSome(fleet.images, random, AT_ONCE)
  // One that is pulled and removed at once may be here afterwards or not.
  const others = fleet.images.filter((image) => !wanted.includes(image))
  const gone = random.chance(0.5) ? pickSome(others, random, 1) : []
  const work = [
    ...wanted.map((image) => victim.pull(image, { signal })),
    ...gone.map((image) => victim.remove(image, { signal })),
  ]
  const settled = Promise.allSettled(work)
  await Promise.race([settled, delay(random.below(LONGEST_MS), undefined, { signal })])
  if (random.chance(0.2) && victim.killExtractor(random.below(8))) await settled
  // Where there is one part only, it is the one that dies.
  const dies = random.chance(0.5) ? machine.parts : [random.pick(machine.parts)]
  await victim.kill(dies)
  try {
    // A pull waits for a runtime that comes back.
    if (!dies.includes('windlass')) await victim.start({ signal })
    await settled
    if (dies.includes('windlass') && random.chance(0.25))
      for (let depth = 0; depth < DEEP; depth++) await machine.startInVain(random.below(LONGEST_MS), { signal })
    await victim.start({ signal })
    await victim.check(when, { signal })
    for (const image of wanted) await victim.pull(image, { signal })
    await victim.check(`${when}, pulled again`, { signal })
    await victim.checkLeftovers(when, { signal })
    // Room for the next run to pull.
    for (const image of pickSome(fleet.images, random, AT_ONCE)) await victim.remove(image, { signal })
  } catch (error) {
    signal.throwIfAborted()
    tally.manual.push(`${when}: ${error instanceof Error ? error.message : String(error)}`)
    throw new Error(`${when}: the daemon has to be seen to by hand`, { cause: error })
  }
}
