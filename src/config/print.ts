/** What is in force, as the document one would write to get it: `windlass config` prints a file that can be used. */

import { formatDuration, formatQuantity } from '../units/units.ts'
import type { Config } from './config.ts'
import { API_VERSION } from './schema.ts'

export function configDocument(config: Config): Readonly<Record<string, unknown>> {
  const { gc, limits, metrics, pins, prepull, registry, runtime, socket } = config
  return {
    apiVersion: API_VERSION,
    kind: 'WindlassConfiguration',
    rootDir: config.rootDir,
    socket: { path: socket.path, mode: `0${socket.mode.toString(8)}` },
    runtime: {
      kind: runtime.kind,
      ...(runtime.endpoint === undefined ? {} : { endpoint: `unix://${runtime.endpoint}` }),
      failurePolicy: runtime.failurePolicy,
    },
    registry: registryDocument(registry),
    maxParallelImagePulls: config.maxParallelImagePulls,
    unpackWorkers: config.unpackWorkers,
    durability: config.durability,
    keepBlobs: config.keepBlobs,
    keepPartials: config.keepPartials,
    gc: {
      highThresholdPercent: gc.highPercent,
      lowThresholdPercent: gc.lowPercent,
      minimumAge: formatDuration(gc.minAgeMs),
      maximumAge: formatDuration(gc.maxAgeMs ?? 0),
    },
    ...(pins.length === 0 ? {} : { pins: pins.map(pinDocument) }),
    limits: { ...limits, maxUnpackedSize: formatQuantity(limits.maxUnpackedSize) },
    ...(metrics === undefined ? {} : { metrics: { bindAddress: formatAddress(metrics) } }),
    logging: config.logging,
    ...(prepull === undefined ? {} : { prepull: prepullDocument(prepull) }),
  }
}

function prepullDocument({ startJitterMs, maxBytesPerSecond, ...said }: NonNullable<Config['prepull']>): object {
  return {
    ...said,
    startJitter: formatDuration(startJitterMs),
    ...(maxBytesPerSecond === undefined ? {} : { maxBytesPerSecond: formatQuantity(maxBytesPerSecond) }),
  }
}

const transfersDocument = ({ maxBytesPerSecond, ...connections }: Config['registry']['transfers']): object => ({
  ...connections,
  ...(maxBytesPerSecond === undefined ? {} : { maxBytesPerSecond: formatQuantity(maxBytesPerSecond) }),
})

function registryDocument(registry: Config['registry']): object {
  const { progressTimeoutMs, httpProxy, httpsProxy, transfers, staleTagsFor, ...said } = registry
  return {
    ...said,
    ...transfersDocument(transfers),
    ...(staleTagsFor.length === 0 ? {} : { staleTagsFor }),
    progressTimeout: formatDuration(progressTimeoutMs),
    ...(httpProxy === undefined ? {} : { httpProxy: withoutPassword(httpProxy) }),
    ...(httpsProxy === undefined ? {} : { httpsProxy: withoutPassword(httpsProxy) }),
  }
}

/** What is printed ends in tickets and chats. */
function withoutPassword(address: string): string {
  if (!URL.canParse(address)) return address
  const url = new URL(address)
  if (url.password !== '') url.password = '***'
  return url.password === '' ? address : url.href
}

const pinDocument = ({ images, reason, ttlMs }: Config['pins'][number]): object => ({
  images,
  ...(reason === '' ? {} : { reason }),
  ...(ttlMs === undefined ? {} : { ttl: formatDuration(ttlMs) }),
})

const formatAddress = ({ host, port }: { readonly host: string; readonly port: number }): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`
