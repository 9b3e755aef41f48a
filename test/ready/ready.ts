/** `npm run ready`: how long a start takes until it answers, and a pull of what is here. */
import { mkdtempDisposable } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { request } from 'undici'
import { optionsOf, whole } from '../../scripts/options.ts'
import type { Abortable } from '../../src/task/task.ts'
import { startWindlass } from '../integration/windlass.ts'
import { pushImage, startDockerRegistry } from '../registry/docker-registry.ts'
import { smallImages } from '../steady/burden.ts'
import { quantile } from '../steady/report.ts'

/** Milliseconds. */
const GATES = { ready: 800, here: 20 } as const

const { starts, pulls } = optionsOf({
  command: 'npm run ready',
  about: `How long a daemon takes from its start on an empty root until it answers, and how much longer than the registry a pull of what is
    here already. Fails beyond ${GATES.ready} ms and ${GATES.here} ms, medians.`,
  takes: 'half a minute',
  root: true,
  needs: 'docker-registry',
  options: { starts: whole('N', 10, 'starts'), pulls: whole('N', 100, 'pulls of what is here') },
  examples: [['--starts 3 --pulls 20', 'a look, in seconds']],
})
const stop = new AbortController()
process.once('SIGINT', () => stop.abort(new Error('stopped by SIGINT')))

/** Of each start: until its first call is answered, by the clock, by the daemon's own, and its processor time. */
type Start = { readonly answered: number; readonly ready: number; readonly cpu: number }

async function startOnce({ signal }: Abortable): Promise<Start> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-ready-'))
  const begun = performance.now()
  await using windlass = await startWindlass(dir.path, { signal })
  await windlass.cri.image.listImages({}, { signal })
  const answered = performance.now() - begun
  const [, ms = ''] = await windlass.daemon.line(/"ms":(\d+),"msg":"ready"/, { signal })
  return { answered, ready: Number(ms), cpu: windlass.daemon.cpuSeconds() * 1000 }
}

/** Of each pull of an image that is here: how long it took, and how long the registry takes for the one question it is asked. */
async function pullHere({ signal }: Abortable): Promise<readonly { readonly pull: number; readonly registry: number }[]> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-ready-'))
  await using registry = await startDockerRegistry()
  const [small] = smallImages(1)
  if (small === undefined) throw new Error('no image')
  const layers = small.image.layers.map(({ blob, descriptor: { mediaType } }) => ({ mediaType, blob }))
  const repository = small.name
  const { mediaType } = await pushImage({ host: registry.host, repository }, '1', {
    config: small.image.config.toString(),
    layers,
  })
  const image = `${registry.host}/${repository}:1`
  await using windlass = await startWindlass(dir.path, { signal })
  const pullOnce = () => windlass.cri.image.pullImage({ image: { image } }, { signal })
  const askOnce = async (): Promise<void> => {
    const url = `http://${registry.host}/v2/${repository}/manifests/1`
    const { body } = await request(url, { method: 'HEAD', headers: { accept: mediaType }, signal })
    await body.dump()
  }
  for (let i = 0; i < 20; i++) await Promise.all([pullOnce(), askOnce()])
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const begun = performance.now()
    await work()
    return performance.now() - begun
  }
  const pairs: { pull: number; registry: number }[] = []
  for (let i = 0; i < pulls; i++) pairs.push({ pull: await timed(pullOnce), registry: await timed(askOnce) })
  return pairs
}

const median = (all: readonly number[]): number => quantile(all, 0.5)
const ms = (value: number): string => `${value.toFixed(value < 100 ? 1 : 0)} ms`

// The first start compiles what the others find compiled.
await startOnce(stop)
const begun: Start[] = []
for (let i = 0; i < starts; i++) begun.push(await startOnce(stop))
const here = await pullHere(stop)

const answered = begun.map((each) => each.answered)
const beyond = here.map(({ pull, registry }) => pull - registry)
console.log(`load ${loadavg()[0]?.toFixed(1)}`)
console.log(
  `start to answer, empty root    median ${ms(median(answered))}, least ${ms(Math.min(...answered))}, of ${starts}; ` +
    `ready by its own clock ${ms(median(begun.map(({ ready }) => ready)))}, processor ${ms(median(begun.map(({ cpu }) => cpu)))}`,
)
console.log(
  `pull of what is here           median ${ms(median(here.map(({ pull }) => pull)))}; registry ${ms(median(here.map(({ registry }) => registry)))}; ` +
    `beyond it ${ms(median(beyond))}, p99 ${ms(quantile(beyond, 0.99))}, of ${pulls}`,
)
if (median(answered) > GATES.ready || median(beyond) > GATES.here) {
  console.error(`MISSED: wanted ${GATES.ready} ms until it answers, ${GATES.here} ms beyond the registry`)
  process.exitCode = 1
}
