/** `npm run fuzz -- --count 10000 --seed 1`: hostile layers through the unpacker, one in twenty through a whole daemon. `--case SEED` repeats one. */
import { parseArgs } from 'node:util'
import { openArena } from './arena.ts'
import { runDaemon } from './daemon.ts'
import { makeLayer } from './layer.ts'
import { newTally, runArena, table } from './run.ts'

const { values } = parseArgs({
  options: { count: { type: 'string', default: '10000' }, seed: { type: 'string', default: '1' }, case: { type: 'string' } },
})
const [count, seed] = [Number(values.count), Number(values.seed)]
if (values.case === undefined) process.exitCode = (await all()) ? 0 : 1
else await one(Number(values.case))

async function all(): Promise<boolean> {
  const [layers, images] = [newTally(), newTally()]
  {
    await using arena = await openArena()
    const share = Math.ceil(count / 10)
    for (let done = 0; done < count * 0.95; done += share) {
      await runArena(arena, Math.min(share, Math.round(count * 0.95) - done), seed * 1000 + done / share, layers)
      console.log(`${layers.cases} layers …`)
    }
  }
  await runDaemon(Math.round(count * 0.05), seed, images)
  console.log(table('layers', layers))
  console.log(table('images', images))
  return layers.findings.length + images.findings.length === 0
}

async function one(seed: number): Promise<void> {
  await using arena = await openArena()
  const layer = makeLayer(seed, arena.targets)
  console.log(layer.did.join(', '), layer.compression, await arena.attack(layer))
}
