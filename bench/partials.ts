/** `npm run partials`: what `keepPartials` costs, and what it saves. */
import { mkdirSync, mkdtempDisposableSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { optionsOf, whole } from '../scripts/options.ts'
import { hexOf } from '../src/oci/digest.ts'
import { silent } from '../src/pull/log.ts'
import { Partials } from '../src/pull/partials.ts'
import { openLab } from '../test/pull/lab.ts'
import { buildImage, buildLayer } from '../test/support/image.ts'
import { createRandom } from '../test/support/random.ts'
import { median } from './figures.ts'

const ROUNDS = 5
const { megabytes } = optionsOf({
  command: 'npm run partials',
  about: `What keepPartials costs, and what it saves: one large layer from a registry in this process, without and with it in turn, and a
    pull that goes on from a file of three quarters of it; medians of ${ROUNDS}.`,
  takes: 'a minute',
  root: true,
  needs: 'three times the layer in the temporary directory, twice in memory',
  options: { megabytes: whole('MB', 400, 'size of the layer, below 1000') },
  examples: [['--megabytes 50', 'a look, in seconds']],
})
const size = megabytes * 1_000_000

/** The lab's limit is a gigabyte a layer. */
function largeLayer() {
  const random = createRandom(1)
  const piece = random.bytes(1_000_000)
  const content = Buffer.alloc(size)
  for (let at = 0; at < size; at += piece.length) {
    piece.writeUInt32LE(at, 0)
    piece.copy(content, at)
  }
  return buildLayer({ tar: [{ name: 'large', content }], compression: 'none' })
}

const layer = largeLayer()
const image = buildImage({ layers: [layer] })
type Cost = { readonly seconds: number; readonly cpu: number }

/** One pull into an empty store; `begun` bytes of it are there from before. */
async function pullOnce(keep: boolean, begun = 0): Promise<Cost> {
  using dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-partials-bench-'))
  const partials = join(dir.path, 'partials')
  if (begun > 0) {
    mkdirSync(partials)
    writeFileSync(join(partials, hexOf(layer.descriptor.digest)), layer.blob.subarray(0, begun))
  }
  await using lab = await openLab(keep ? { partials: new Partials({ dir: partials, log: silent }) } : {})
  const request = lab.publish('bench:1', image)
  const [started, before] = [performance.now(), process.cpuUsage()]
  await lab.pull(request)
  const { user, system } = process.cpuUsage(before)
  rmSync(partials, { recursive: true, force: true })
  return { seconds: (performance.now() - started) / 1000, cpu: (user + system) / 1e6 }
}

function show(name: string, costs: readonly Cost[]): void {
  const seconds = median(costs.map((each) => each.seconds)).toFixed(2)
  const cpu = median(costs.map((each) => each.cpu)).toFixed(2)
  console.log(`partials   ${name}: ${seconds} s, ${cpu} CPU seconds of this process, registry included`)
}

const [without, kept, resumed]: [Cost[], Cost[], Cost[]] = [[], [], []]
await pullOnce(false)
for (let round = 0; round < ROUNDS; round++) {
  without.push(await pullOnce(false))
  kept.push(await pullOnce(true))
  resumed.push(await pullOnce(true, Math.floor(size * 0.75)))
}
console.log(`partials   one layer of ${size / 1e6} MB, medians of ${ROUNDS}`)
show('without', without)
show('with keepPartials', kept)
show('with three quarters here', resumed)
