/** What rooms tell as it happens: counters and histograms. */
import { STATUS_CODES } from 'node:http'
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { type Metrics, PASSTHROUGH_REASONS, PULL_PHASES } from './metrics.ts'

/** Pods name registries, and each name is a time series for ever: those beyond this many are counted together. */
const MAX_HOSTS = 50

const PULL_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800]
const UNPACK_SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
const REQUEST_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
/** kubelet's polls are to take milliseconds, a pull may take half an hour. */
const CALL_SECONDS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300, 1800]

export function countWhatIsTold(registry: Registry): Metrics {
  return { ...countPulls(registry), ...countLayers(registry), ...countRequests(registry), ...countNode(registry) }
}

function countPulls(registry: Registry): Pick<Metrics, 'forwarded' | 'pull' | 'passthrough'> {
  const registers = [registry]
  const passthrough = new Gauge({
    name: 'windlass_passthrough',
    help: '1 while pulls are handed to the container runtime as they come, by reason.',
    labelNames: ['reason'],
    registers,
  })
  // Series that are there from the start can be watched for a change.
  for (const reason of PASSTHROUGH_REASONS) passthrough.set({ reason }, 0)
  const forwarded = new Counter({
    name: 'windlass_image_pulls_forwarded_total',
    help: 'Pulls handed to the container runtime, by reason.',
    labelNames: ['reason'],
    registers,
  })
  const pulls = new Counter({
    name: 'windlass_image_pulls_total',
    help: 'Pulls done here, by registry, result, and reason of the failure. Callers who share a pull count once.',
    labelNames: ['registry', 'result', 'reason'],
    registers,
  })
  const duration = new Histogram({
    name: 'windlass_image_pull_duration_seconds',
    help: 'How long pulls took that brought a layer, by phase; whole is all but queue.',
    labelNames: ['phase'],
    buckets: PULL_SECONDS,
    registers,
  })
  for (const phase of PULL_PHASES) duration.zero({ phase })
  const reused = new Counter({
    name: 'windlass_reused_bytes_total',
    help: 'Compressed bytes of layers that pulls found here already.',
    registers,
  })
  const named = boundedNames(MAX_HOSTS)
  return {
    forwarded: (reason) => forwarded.inc({ reason }),
    pull: ({ registry: name, result, reason, bytesHere, phases }) => {
      pulls.inc({ registry: named(name), result, reason })
      reused.inc(bytesHere)
      if (result === 'pulled') for (const phase of PULL_PHASES) duration.observe({ phase }, phases[phase] / 1000)
    },
    passthrough: (on, reason) => passthrough.set({ reason }, on ? 1 : 0),
  }
}

function countLayers(registry: Registry): Pick<Metrics, 'layer'> {
  const registers = [registry]
  const bytes = new Counter({
    name: 'windlass_pulled_bytes_total',
    help: 'Compressed bytes of layers that came whole, by the host that gave them, or archive.',
    labelNames: ['source'],
    registers,
  })
  const copied = new Counter({
    name: 'windlass_copied_bytes_total',
    help: 'Compressed bytes of layers that were copied from another chain on this node.',
    registers,
  })
  const layers = new Counter({
    name: 'windlass_layers_brought_total',
    help: 'Layers brought here, by origin.',
    labelNames: ['origin'],
    registers,
  })
  for (const origin of ['registry', 'archive', 'copy']) layers.inc({ origin }, 0)
  const unpacking = new Histogram({
    name: 'windlass_layer_unpack_duration_seconds',
    help: 'Time spent unpacking a fetched layer, without waiting for its bytes, by compression.',
    labelNames: ['codec'],
    buckets: UNPACK_SECONDS,
    registers,
  })
  const named = boundedNames(MAX_HOSTS)
  return {
    layer: ({ source, codec, bytes: size, unpackMs }) => {
      if (source === 'copy') {
        layers.inc({ origin: 'copy' })
        copied.inc(size)
        return
      }
      layers.inc({ origin: source === 'archive' ? 'archive' : 'registry' })
      bytes.inc({ source: named(source) }, size)
      unpacking.observe({ codec }, unpackMs / 1000)
    },
  }
}

function countRequests(registry: Registry): Pick<Metrics, 'request' | 'retried' | 'gaveUp'> {
  const registers = [registry]
  const requests = new Histogram({
    name: 'windlass_registry_request_duration_seconds',
    help: 'From a request to the head of its answer, logins included, by host, method and status.',
    labelNames: ['registry', 'method', 'code'],
    buckets: REQUEST_SECONDS,
    registers,
  })
  const retries = new Counter({
    name: 'windlass_registry_retries_total',
    help: 'Requests made to the same host again, by host.',
    labelNames: ['registry'],
    registers,
  })
  const failures = new Counter({
    name: 'windlass_registry_host_failures_total',
    help: 'Times a host did not deliver what it was asked for, retries included, by host.',
    labelNames: ['registry'],
    registers,
  })
  const named = boundedNames(MAX_HOSTS)
  return {
    request: ({ host, method, code, headMs }) =>
      requests.observe({ registry: named(host), method, code: knownCode(code) }, headMs / 1000),
    retried: (host) => retries.inc({ registry: named(host) }),
    gaveUp: (host) => failures.inc({ registry: named(host) }),
  }
}

function countNode(registry: Registry): Pick<Metrics, 'call' | 'collected' | 'imageRemoved' | 'spans' | 'written'> {
  const registers = [registry]
  const handled = new Counter({
    name: 'grpc_server_handled_total',
    help: 'Calls on the socket that have ended, by method and code.',
    labelNames: ['grpc_type', 'grpc_service', 'grpc_method', 'grpc_code'],
    registers,
  })
  const handling = new Histogram({
    name: 'grpc_server_handling_seconds',
    help: 'How long calls on the socket took, by method.',
    labelNames: ['grpc_type', 'grpc_service', 'grpc_method'],
    buckets: CALL_SECONDS,
    registers,
  })
  const removed = new Counter({
    name: 'windlass_gc_images_removed_total',
    help: 'Images removed to make room, by reason.',
    labelNames: ['reason'],
    registers,
  })
  for (const reason of ['age', 'pressure', 'asked']) removed.inc({ reason }, 0)
  const layers = new Counter({
    name: 'windlass_gc_layers_removed_total',
    help: 'Layers that collections have removed, those of removed images with them.',
    registers,
  })
  const freed = new Counter({
    name: 'windlass_gc_freed_bytes_total',
    help: 'Bytes on disk that collections have given back.',
    registers,
  })
  const spans = new Counter({
    name: 'windlass_trace_spans_total',
    help: 'Spans of traces, by what became of them.',
    labelNames: ['outcome'],
    registers,
  })
  for (const outcome of ['sent', 'dropped']) spans.inc({ outcome }, 0)
  const written = new Counter({
    name: 'windlass_kubernetes_writes_total',
    help: 'What the cluster was told of this node: conditions and Events, by what became of it.',
    labelNames: ['resource', 'outcome'],
    registers,
  })
  for (const resource of ['nodes', 'events']) for (const outcome of ['done', 'failed']) written.inc({ resource, outcome }, 0)
  return {
    call: ({ method, type, code, ms }) => {
      const [, service = '', name = ''] = method.split('/')
      const labels = { grpc_type: type, grpc_service: service, grpc_method: name }
      handled.inc({ ...labels, grpc_code: inGrpcsWords(code) })
      handling.observe(labels, ms / 1000)
    },
    collected: ({ layers: count, bytes }) => {
      layers.inc(count)
      freed.inc(bytes)
    },
    imageRemoved: (reason) => removed.inc({ reason }),
    spans: (outcome, count) => spans.inc({ outcome }, count),
    written: (resource, outcome) => written.inc({ resource, outcome }),
  }
}

/** As Go writes codes, and so every server of Kubernetes: `NOT_FOUND` is `NotFound`, `CANCELLED` has one l. */
function inGrpcsWords(code: string): string {
  if (code === 'OK') return code
  if (code === 'CANCELLED') return 'Canceled'
  return code.toLowerCase().replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

/** A status that nobody has registered is of its class: a registry can think of hundreds, and each were a time series for ever. */
const knownCode = (code: string): string => (/^\d{3}$/.test(code) && !(code in STATUS_CODES) ? `${code.charAt(0)}xx` : code)

/** Names as they come, until there are `most` of them; then `other`. */
function boundedNames(most: number): (name: string) => string {
  const known = new Set<string>()
  return (name) => {
    if (known.size < most) known.add(name)
    return known.has(name) ? name : 'other'
  }
}
