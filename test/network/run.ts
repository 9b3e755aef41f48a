/** Pulls over a bad network: a link in user space that is late and cuts connections, and a registry behind it that is often not available. */
import { type Failure, failureOf } from '../../src/failure/failure.ts'
import { parseReference } from '../../src/reference/parse.ts'
import { Limiter } from '../../src/task/limiter.ts'
import { openLab } from '../pull/lab.ts'
import { buildImage, buildLayer } from '../support/image.ts'
import { createRandom, type Random } from '../support/random.ts'
import { openLink } from './link.ts'

export type Weather = {
  readonly roundTripMs: number
  /** Of the pieces of at most 64 KiB that come back: the connection is reset in their place. */
  readonly cuts: number
  /** Of the requests: answered with 503. */
  readonly unavailable: number
}

/** What the project promises to pull through. */
export const bad: Weather = { roundTripMs: 100, cuts: 0.01, unavailable: 0.1 }

export type Outcome = {
  readonly pulled: number
  readonly failures: readonly Failure[]
  /** Bytes of the layers; those that came of all answers, heads included. */
  readonly wanted: number
  readonly came: number
  readonly cuts: number
  readonly refusals: number
  readonly seconds: number
}

/** Each pull is of an image of its own, of about `bytes`. */
export async function pullThrough(
  weather: Weather,
  {
    pulls,
    parallel,
    bytes,
    seed,
  }: { readonly pulls: number; readonly parallel: number; readonly bytes: number; readonly seed: number },
): Promise<Outcome> {
  const random = createRandom(seed)
  let refusals = 0
  const isRefused = (): boolean => {
    if (!random.chance(weather.unavailable)) return false
    refusals++
    return true
  }
  await using lab = await openLab({ fault: () => (isRefused() ? { kind: 'status', status: 503 } : undefined) })
  await using link = await openLink({
    to: lab.registry.host,
    roundTripMs: weather.roundTripMs,
    isCut: () => random.chance(weather.cuts),
  })
  const images = Array.from({ length: pulls }, (_, at) => {
    const image = buildImage({ layers: layersOf(random, bytes, at) })
    lab.publish(`weather/${at}:1`, image)
    return image
  })
  const places = new Limiter(parallel)
  const { signal } = new AbortController()
  const started = performance.now()
  const settled = await Promise.allSettled(
    images.map(async (_, at) => {
      using _place = await places.acquire({ signal })
      const reference = parseReference(`${link.host}/weather/${at}:1`)
      return await lab.pull({ reference, credentials: { kind: 'anonymous' }, client: 'cli' })
    }),
  )
  return {
    pulled: settled.filter(({ status }) => status === 'fulfilled').length,
    failures: settled.flatMap((each) => (each.status === 'rejected' ? [failureOf(each.reason)] : [])),
    wanted: images.flatMap(({ layers }) => layers).reduce((sum, { blob }) => sum + blob.length, 0),
    came: link.bytes,
    cuts: link.cuts,
    refusals,
    seconds: (performance.now() - started) / 1000,
  }
}

/** One large layer and two small ones, which do not compress. */
function layersOf(random: Random, bytes: number, at: number): readonly ReturnType<typeof buildLayer>[] {
  const content = Buffer.alloc(bytes)
  for (let offset = 0; offset + 4 <= bytes; offset += 4) content.writeUInt32LE(random.below(2 ** 32), offset)
  return [
    buildLayer({ tar: [{ name: 'large', content: content.subarray(0, bytes * 0.8) }] }),
    buildLayer({ tar: [{ name: 'small', content: content.subarray(bytes * 0.8) }] }),
    buildLayer({ tar: [{ name: 'name', content: `image ${at}` }] }),
  ]
}

/** The share of the bytes that came more than once, as far as heads and documents leave it to be told. */
export const twice = ({ wanted, came }: Outcome): number => Math.max(0, came - wanted) / wanted
