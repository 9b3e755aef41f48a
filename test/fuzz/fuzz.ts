/** `npm run fuzz`: hostile layers through the unpacker. */
import { optionsOf, whole } from '../../scripts/options.ts'
import { openArena } from './arena.ts'
import { runDaemon } from './daemon.ts'
import { makeLayer } from './layer.ts'
import { newTally, runArena, table } from './run.ts'

const {
  count,
  seed,
  case: only,
} = optionsOf({
  command: 'npm run fuzz',
  about:
    'Mutated layers and hostile images through the unpacker, one in twenty through a whole daemon: nothing may get out of its layer.',
  takes: 'half an hour',
  root: true,
  options: {
    count: whole('N', 10_000, 'cases'),
    seed: whole('N', 1, 'the same seed makes the same cases'),
    case: whole('SEED', undefined, 'repeats one layer, by the seed it was reported with'),
  },
  examples: [['--count 300', 'what the tests make']],
})
if (only === undefined) process.exitCode = (await all()) ? 0 : 1
else await one(only)

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
