/**
 * Power cuts at random points of pulls, removals and the collections that follow them. What had been answered as pulled must be there
 * afterwards with every byte, and so must whatever is shown. The same with syncfs left out must lose files: else the cut is no cut.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Abortable } from '../../src/task/task.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { createRandom, type Random } from '../support/random.ts'
import { Disk } from './disk.ts'
import { type Fleet, makeFleet, pickSome, putFleet } from './fleet.ts'
import { Alone, Beside } from './machine.ts'
import { newTally, type Tally } from './tally.ts'
import { Victim } from './victim.ts'

/** About as long as the pulls of a run take; some are over by then. */
const LONGEST_MS = 900
const AT_ONCE = 3

export type CutOptions = Abortable & {
  readonly onRun?: (tally: Tally) => void
  /** What the daemon is started by, where it is not started as it is: the negative control. */
  readonly wrapper?: readonly string[]
  /** Beside containerd, whose database loses its power too. */
  readonly beside?: boolean
}

export async function runCuts(
  count: number,
  seed: number,
  { signal, onRun, wrapper = [], beside = false }: CutOptions,
): Promise<Tally> {
  const tally = newTally(
    `power cut${beside ? ', of containerd too' : ''}${wrapper.length === 0 ? '' : ', syncfs left out (control)'} (C2)`,
  )
  const fleet = makeFleet(seed, { images: 6, filesPerLayer: 60 })
  await using registry = await startRegistry()
  putFleet(registry, fleet)
  using disk = new Disk()
  const machine = beside ? new Beside(disk.dir) : new Alone(disk.dir)
  const victim = new Victim(machine, registry.host, fleet, tally)
  await victim.start({ signal, wrapper })
  for (let run = 0; run < count; run++) {
    const random = createRandom(seed * 1_000_003 + run)
    await once(victim, machine, disk, fleet, random, `seed ${seed} run ${run}`, { signal, wrapper })
    tally.runs++
    onRun?.(tally)
  }
  await victim.kill()
  return tally
}

async function once(
  victim: Victim,
  machine: Alone | Beside,
  disk: Disk,
  fleet: Fleet,
  random: Random,
  when: string,
  { signal, wrapper }: Abortable & { readonly wrapper: readonly string[] },
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
  // Right after an answer is the point that matters most.
  const moment = random.chance(0.3) ? settled : Promise.race([settled, delay(random.below(LONGEST_MS), undefined, { signal })])
  await moment
  disk.cut()
  // An answer that comes after the cut was on its way before it: it promises what every other does.
  await victim.kill()
  await settled
  await disk.powerOn({ signal })
  // The records that a rebuild goes by must not promise more than the database does, and not less.
  if (random.chance(0.3) && machine instanceof Alone) await machine.loseDatabase()
  try {
    await victim.start({ signal, wrapper })
    await victim.check(when, { signal })
    for (const image of wanted) await victim.pull(image, { signal })
    await victim.check(`${when}, pulled again`, { signal })
    await victim.checkLeftovers(when, { signal })
    for (const image of pickSome(fleet.images, random, AT_ONCE)) await victim.remove(image, { signal })
  } catch (error) {
    signal.throwIfAborted()
    throw new Error(`${when}: the daemon has to be seen to by hand\n${machine.output()}`, { cause: error })
  }
}

/** Every syncfs of the daemon and its threads answers that it is done, and does nothing. */
export const withoutSync: readonly string[] = [
  'strace',
  '--seccomp-bpf',
  '-f',
  '-qq',
  '-o',
  '/dev/null',
  '-e',
  'trace=syncfs',
  '-e',
  'inject=syncfs:retval=0',
]
export const CONTROLS = 3
