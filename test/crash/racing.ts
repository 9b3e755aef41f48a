/**
 * Removals against pulls of images that share layers, and of the same image: whatever is shown afterwards is whole, and what was answered
 * as pulled is there, unless its removal was asked for meanwhile.
 */
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Abortable } from '../../src/task/task.ts'
import { mounted } from '../integration/process.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { createRandom } from '../support/random.ts'
import { makeFleet, pickSome, putFleet } from './fleet.ts'
import { Alone } from './machine.ts'
import { newTally, type Tally } from './tally.ts'
import { Victim } from './victim.ts'

export async function runRaces(
  count: number,
  seed: number,
  { signal, onRun }: Abortable & { onRun?: (tally: Tally) => void },
): Promise<Tally> {
  const tally = newTally('RemoveImage against PullImage (C9)')
  const fleet = makeFleet(seed, { images: 4, filesPerLayer: 8 })
  await using registry = await startRegistry()
  putFleet(registry, fleet)
  await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-race-'))
  using _disk = mounted(temporary.path, ['-t', 'tmpfs', 'tmpfs'])
  const victim = new Victim(new Alone(join(temporary.path, 'node')), registry.host, fleet, tally)
  await victim.start({ signal })
  for (let run = 0; run < count; run++) {
    const random = createRandom(seed * 1_000_003 + run)
    const gone = pickSome(fleet.images, random, 2)
    const contested = pickSome(gone, random, random.chance(0.3) ? 1 : 0)
    const pulled = fleet.images.filter((image) => !gone.includes(image) || contested.includes(image))
    await Promise.all([
      ...gone.map((image) => victim.remove(image, { signal })),
      ...pulled.map((image) => victim.pull(image, { signal })),
    ])
    // Of these nobody can say which came last.
    for (const image of contested) victim.answered.delete(image)
    await victim.check(`seed ${seed} round ${run}`, { signal })
    tally.runs++
    onRun?.(tally)
  }
  await victim.checkLeftovers(`seed ${seed}`, { signal })
  await victim.kill()
  return tally
}
