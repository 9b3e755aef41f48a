/** One sentence that says where a pull's time went. */
import type { LayerReport } from './pull.ts'

export type PullTimes = {
  readonly ms: number
  readonly resolveMs: number
  readonly sealMs: number
  readonly layers: readonly LayerReport[]
}

/** Names the longest stretch: resolving, one layer's wait, network or unpacking, or the seal. */
export function verdict({ resolveMs, sealMs, layers }: PullTimes): string {
  if (layers.every(({ origin }) => origin === 'here')) return 'nothing had to move'
  const stretches = [
    { ms: resolveMs, text: 'the registry, resolving the reference' },
    { ms: sealMs, text: 'the disk, sealing the image' },
    ...layers.flatMap((layer, at) => [
      { ms: layer.networkMs, text: `the network to ${layer.host ?? 'the registry'}, layer ${at + 1}` },
      { ms: layer.unpackMs, text: `unpacking layer ${at + 1}` },
      { ms: layer.queuedMs, text: `waiting for a free worker, layer ${at + 1}` },
    ]),
  ]
  const longest = stretches.reduce((most, each) => (each.ms > most.ms ? each : most))
  return `bottleneck: ${longest.text}`
}
