/** Where a pull's time went: the steps nothing could have overtaken, and one sentence that names the longest. */
import type { LayerReport, UnfinishedLayer } from './pull.ts'

export type PullTimes = {
  readonly host?: string | undefined
  readonly queuedMs: number
  /** Of it, `tokenMs` went into getting a token. */
  readonly resolveMs: number
  readonly tokenMs: number
  readonly roomMs: number
  readonly layers: readonly LayerReport[]
  /** Where it failed. */
  readonly unfinished?: readonly UnfinishedLayer[]
  readonly syncMs: number
  readonly publishMs: number
}

/** One step of the critical path, as it is named in a sentence. */
export type Step = { readonly text: string; readonly ms: number }

/**
 * The steps that the pull waited for, in order. Layers come in parallel and are committed from the base up: of the top one that had to come,
 * the way leads down as long as a layer has waited for the one below it, and up again by the commits.
 */
export function criticalPath(times: PullTimes): Step[] {
  const { host, queuedMs, resolveMs, tokenMs, roomMs, layers, unfinished = [], syncMs, publishMs } = times
  const registry = host ?? 'the registry'
  return [
    { text: 'waiting for other pulls to end', ms: queuedMs },
    { text: `getting a token for ${registry}`, ms: tokenMs },
    { text: `${registry}, resolving the reference`, ms: Math.max(0, resolveMs - tokenMs) },
    { text: 'making sure of room for the layers', ms: roomMs },
    ...(unfinished.length === 0 ? arrival(layers) : standstill(unfinished)),
    { text: 'the disk, syncing what was written', ms: syncMs },
    { text: 'publishing the image', ms: publishMs },
  ].filter(({ ms }) => ms > 0)
}

function arrival(layers: readonly LayerReport[]): Step[] {
  const at = slowest(layers)
  const layer = layers[at]
  const commitMs = layers.slice(Math.max(0, at)).reduce((sum, each) => sum + each.commitMs, 0)
  return [...(layer === undefined ? [] : stepsOf(layer, at + 1)), { text: 'giving layers their place', ms: commitMs }]
}

/** Of the layers that did not arrive, the one that stood longest where it was; those above waited for it. */
const standstill = (unfinished: readonly UnfinishedLayer[]): Step[] =>
  unfinished
    .filter(({ state }) => state !== 'below')
    .toSorted((one, other) => other.ms - one.ms)
    .slice(0, 1)
    .map(({ layer, state, ms }) => ({ text: `layer ${layer + 1}, ${state} when it ended`, ms }))

/** In the worker these follow each other and do not overlap. */
const stepsOf = (layer: LayerReport, number: number): Step[] => [
  { text: `waiting for a free worker, layer ${number}`, ms: layer.queuedMs },
  { text: `starting a worker, layer ${number}`, ms: layer.startMs },
  { text: `the network to ${layer.host ?? 'the registry'}, layer ${number}`, ms: layer.waitMs },
  { text: `CPU, inflating layer ${number}`, ms: layer.inflateMs },
  { text: `CPU, hashing layer ${number}`, ms: layer.hashMs },
  { text: `unpacking the files of layer ${number}`, ms: layer.writeMs },
]

/** The position of the layer that all above it waited for; -1 where none had to come. */
function slowest(layers: readonly LayerReport[]): number {
  let at = layers.findLastIndex(({ origin }) => origin !== 'here')
  // A layer that was here already kept nobody waiting for longer than it takes to look.
  while (at > 0 && layers[at - 1]?.origin !== 'here' && (layers[at]?.belowMs ?? 0) > WAITED_MS) at--
  return at
}

/** Less is what the turn of an event loop takes. */
const WAITED_MS = 1

/** Names the longest step, and its part of the whole. */
export function verdict(times: PullTimes): string {
  if (times.layers.every(({ origin }) => origin === 'here')) return 'nothing had to move'
  const steps = criticalPath(times)
  const whole = steps.reduce((sum, { ms }) => sum + ms, 0)
  const longest = steps.reduce((most, each) => (each.ms > most.ms ? each : most), { text: 'none', ms: 0 })
  return `bottleneck: ${longest.text} (${Math.round((100 * longest.ms) / Math.max(whole, 1e-9))} %)`
}

/** Why a pull failed, and how far it came. The cause is first: that is what is read of a sentence that is cut. */
export function failureSentence(
  report: { readonly host?: string; readonly layers: readonly unknown[]; readonly layerCount: number; readonly ms: number },
  cause: string,
): string {
  const { host, layers, layerCount, ms } = report
  const stage =
    host === undefined
      ? 'before it was resolved'
      : layers.length === layerCount
        ? 'while sealing'
        : `with ${layers.length} of ${layerCount} layers here`
  return `${cause}; failed after ${(ms / 1000).toFixed(1)} s, ${stage}`
}
