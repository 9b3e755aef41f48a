import { once } from 'node:events'
import { request } from 'node:http'
import { connect, createServer } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { PullFigures } from '../../src/metrics/metrics.ts'
import type { MetricsOptions } from '../../src/metrics/serve.ts'
import { serveMetrics } from '../../src/metrics/serve.ts'

const options = (more: Partial<MetricsOptions> = {}): MetricsOptions => ({
  host: '127.0.0.1',
  port: 0,
  version: '1.2.3',
  pulls: () => ({ inFlight: 0, queued: 0 }),
  disk: async () => undefined,
  damagedLayers: () => undefined,
  whyNotReady: async () => undefined,
  onError: () => {},
  ...more,
})

async function ask(port: number, path: string, method = 'GET') {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method })
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}

const pulled = (more: Partial<PullFigures> = {}): PullFigures => ({
  registry: 'docker.io',
  result: 'pulled',
  reason: '',
  bytesHere: 0,
  phases: { queue: 0, resolve: 200, layers: 3_000, seal: 50, whole: 3_250 },
  ...more,
})
const failed = (registry: string): PullFigures => pulled({ registry, result: 'failed', reason: 'unauthorized' })
/** The lines of one metric, or of all that begin so. */
const linesOf = (text: string, name: string): string[] => text.split('\n').filter((line) => new RegExp(`^${name}[{ ]`).test(line))

it('shows what was counted, in the text form of Prometheus', async () => {
  let pulls = { inFlight: 0, queued: 0 }
  await using metrics = await serveMetrics(options({ pulls: () => pulls }))
  metrics.forwarded('no-space')
  metrics.forwarded('no-space')
  metrics.pull(pulled())
  metrics.pull(failed('r.example'))
  metrics.passthrough(true, 'switched')
  pulls = { inFlight: 3, queued: 1 }
  const { status, type, text } = await ask(metrics.port, '/metrics')
  expect({ status, type }).toEqual({ status: 200, type: 'text/plain; version=0.0.4; charset=utf-8' })
  expect(linesOf(text, 'windlass_(build|passthrough|image_pulls)\\w*')).toEqual([
    `windlass_build_info{version="1.2.3",node_version="${process.version}"} 1`,
    'windlass_passthrough{reason="switched"} 1',
    'windlass_passthrough{reason="bad-config"} 0',
    'windlass_passthrough{reason="not-open"} 0',
    'windlass_image_pulls_forwarded_total{reason="no-space"} 2',
    'windlass_image_pulls_total{registry="docker.io",result="pulled",reason=""} 1',
    'windlass_image_pulls_total{registry="r.example",result="failed",reason="unauthorized"} 1',
    'windlass_image_pulls_in_progress 3',
    'windlass_image_pulls_queued 1',
  ])
  expect(text).toContain('# TYPE windlass_image_pulls_total counter')
  metrics.passthrough(false, 'switched')
  expect((await ask(metrics.port, '/metrics')).text).toContain('windlass_passthrough{reason="switched"} 0')
})

it('says where the time of pulls went, of those alone that brought a layer', async () => {
  await using metrics = await serveMetrics(options())
  metrics.pull(pulled())
  metrics.pull(pulled({ result: 'here', bytesHere: 700, phases: { queue: 0, resolve: 9, layers: 0, seal: 0, whole: 9 } }))
  metrics.pull(failed('r.example'))
  const { text } = await ask(metrics.port, '/metrics')
  expect(linesOf(text, 'windlass_image_pull_duration_seconds_(sum|count)')).toEqual(
    Object.entries({ queue: 0, resolve: 0.2, layers: 3, seal: 0.05, whole: 3.25 }).flatMap(([phase, seconds]) => [
      `windlass_image_pull_duration_seconds_sum{phase="${phase}"} ${seconds}`,
      `windlass_image_pull_duration_seconds_count{phase="${phase}"} 1`,
    ]),
  )
  expect(linesOf(text, 'windlass_reused_bytes_total')).toEqual(['windlass_reused_bytes_total 700'])
})

it('counts layers by where they came from, and times the unpacking of those that were fetched', async () => {
  await using metrics = await serveMetrics(options())
  metrics.layer({ source: 'mirror.example', codec: 'zstd', bytes: 100, unpackMs: 2_000 })
  metrics.layer({ source: 'archive', codec: 'none', bytes: 10, unpackMs: 1_000 })
  metrics.layer({ source: 'copy', codec: 'gzip', bytes: 7, unpackMs: 500 })
  const { text } = await ask(metrics.port, '/metrics')
  expect(linesOf(text, 'windlass_(pulled_bytes|copied_bytes|layers_brought)_total|windlass_layer_unpack_\\w+_sum')).toEqual([
    'windlass_pulled_bytes_total{source="mirror.example"} 100',
    'windlass_pulled_bytes_total{source="archive"} 10',
    'windlass_copied_bytes_total 7',
    'windlass_layers_brought_total{origin="registry"} 1',
    'windlass_layers_brought_total{origin="archive"} 1',
    'windlass_layers_brought_total{origin="copy"} 1',
    'windlass_layer_unpack_duration_seconds_sum{codec="zstd"} 2',
    'windlass_layer_unpack_duration_seconds_sum{codec="none"} 1',
  ])
})

it('counts requests, calls, collections and spans', async () => {
  await using metrics = await serveMetrics(options())
  metrics.request({ host: 'r.example', method: 'GET', code: '200', headMs: 20 })
  metrics.request({ host: 'r.example', method: 'HEAD', code: 'unreachable', headMs: 3_000 })
  metrics.retried('r.example')
  metrics.gaveUp('r.example')
  metrics.call({ method: '/runtime.v1.ImageService/PullImage', type: 'unary', code: 'OK', ms: 2 })
  metrics.call({ method: '/runtime.v1.ImageService/PullImage', type: 'unary', code: 'NOT_FOUND', ms: 2 })
  metrics.call({ method: '/windlass.v1.Windlass/Pull', type: 'server_stream', code: 'CANCELLED', ms: 2 })
  metrics.collected({ layers: 2, bytes: 100 })
  metrics.imageRemoved('age')
  metrics.spans('dropped', 3)
  const { text } = await ask(metrics.port, '/metrics')
  const image = 'grpc_type="unary",grpc_service="runtime.v1.ImageService",grpc_method="PullImage"'
  const control = 'grpc_type="server_stream",grpc_service="windlass.v1.Windlass",grpc_method="Pull"'
  expect(linesOf(text, '(grpc_server_handled|windlass_(registry|gc|trace))_\\w*(total|count)')).toEqual(
    [
      'windlass_registry_request_duration_seconds_count{registry="r.example",method="GET",code="200"} 1',
      'windlass_registry_request_duration_seconds_count{registry="r.example",method="HEAD",code="unreachable"} 1',
      'windlass_registry_retries_total{registry="r.example"} 1',
      'windlass_registry_host_failures_total{registry="r.example"} 1',
      'windlass_gc_images_removed_total{reason="age"} 1',
      'windlass_gc_images_removed_total{reason="pressure"} 0',
      'windlass_gc_images_removed_total{reason="asked"} 0',
      'windlass_gc_layers_removed_total 2',
      'windlass_gc_freed_bytes_total 100',
      'windlass_trace_spans_total{outcome="sent"} 0',
      'windlass_trace_spans_total{outcome="dropped"} 3',
    ].toSpliced(
      4,
      0,
      `grpc_server_handled_total{${image},grpc_code="OK"} 1`,
      `grpc_server_handled_total{${image},grpc_code="NotFound"} 1`,
      `grpc_server_handled_total{${control},grpc_code="Canceled"} 1`,
    ),
  )
})

it('shows the disk and damaged layers as far as they are known', async () => {
  let known = true
  let looks = 0
  const disk = { usedBytes: 1, totalBytes: 2, availableBytes: 3, totalInodes: 4, availableInodes: 5 }
  await using metrics = await serveMetrics(
    options({
      disk: async () => {
        looks++
        return known ? disk : undefined
      },
      damagedLayers: () => (known ? 2 : undefined),
    }),
  )
  const shown = async () => linesOf((await ask(metrics.port, '/metrics')).text, 'windlass_(image_fs|damaged)_\\w+')
  expect(await shown()).toEqual([
    'windlass_image_fs_used_bytes 1',
    'windlass_image_fs_size_bytes 2',
    'windlass_image_fs_available_bytes 3',
    'windlass_image_fs_inodes 4',
    'windlass_image_fs_inodes_available 5',
    'windlass_damaged_layers 2',
  ])
  expect(looks).toBe(1)
  known = false
  expect(await shown()).toEqual([])
  known = true
  expect(await shown()).toHaveLength(6)
})

it('says how late the loop was since it was last asked, and what the process takes', async () => {
  await using metrics = await serveMetrics(options())
  const read = async (): Promise<Map<string, number>> => {
    const { text } = await ask(metrics.port, '/metrics')
    return new Map([...text.matchAll(/^([a-z]\S*) (\S+)$/gm)].map(([, name = '', value]) => [name, Number(value)]))
  }
  const longest = 'windlass_event_loop_delay_seconds{quantile="1"}'
  await read()
  // The loop's own measuring has to have begun anew before it is held up.
  await setTimeout(50)
  for (const until = performance.now() + 300; performance.now() < until; );
  const held = await read()
  expect(held.get(longest)).toBeGreaterThan(0.2)
  expect(held.get(longest)).toBeLessThan(30)
  await setTimeout(50)
  expect((await read()).get(longest)).toBeLessThan(held.get(longest) ?? 0)
  expect(held.get('process_cpu_seconds_total')).toBeGreaterThan(0.2)
  expect(Date.now() / 1000 - (held.get('process_start_time_seconds') ?? 0)).toBeLessThan(600)
  expect(held.get('process_open_fds')).toBeGreaterThan(3)
  expect(held.get('process_resident_memory_bytes')).toBeGreaterThan(held.get('nodejs_heap_size_used_bytes') ?? Number.NaN)
})

it('counts registries beyond the first fifty together', async () => {
  await using metrics = await serveMetrics(options())
  for (let i = 0; i < 1_000; i++) metrics.pull(pulled({ registry: `r${i}.example` }))
  metrics.pull(pulled({ registry: 'r7.example' }))
  const lines = (await ask(metrics.port, '/metrics')).text
    .split('\n')
    .filter((line) => line.startsWith('windlass_image_pulls_total{'))
  expect(lines).toHaveLength(51)
  expect(lines).toContain('windlass_image_pulls_total{registry="r7.example",result="pulled",reason=""} 2')
  expect(lines).toContain('windlass_image_pulls_total{registry="other",result="pulled",reason=""} 950')
})

it('counts what a registry thinks of as a status by its class', async () => {
  await using metrics = await serveMetrics(options())
  for (let code = 100; code < 1_000; code++) metrics.request({ host: 'r.example', method: 'GET', code: String(code), headMs: 1 })
  metrics.request({ host: 'r.example', method: 'GET', code: 'unreachable', headMs: 1 })
  const counts = linesOf((await ask(metrics.port, '/metrics')).text, 'windlass_registry_request_duration_seconds_count')
  expect(counts.length).toBeLessThan(100)
  for (const code of ['429', '9xx', 'unreachable']) expect(counts.join()).toContain(`code="${code}"`)
})

it('answers probes, and says no to what is not there', async () => {
  let ready = false
  await using metrics = await serveMetrics(options({ whyNotReady: async () => (ready ? undefined : 'r') }))
  expect(await ask(metrics.port, '/livez')).toMatchObject({ status: 200, text: 'ok\n' })
  expect(await ask(metrics.port, '/healthz')).toMatchObject({ status: 200 })
  expect(await ask(metrics.port, '/readyz')).toMatchObject({ status: 503, text: 'not ready: r\n' })
  ready = true
  expect(await ask(metrics.port, '/readyz?verbose')).toMatchObject({ status: 200 })
  expect(await ask(metrics.port, '/metrics', 'HEAD')).toMatchObject({ status: 200, text: '' })
  expect(await ask(metrics.port, '/metrics', 'POST')).toMatchObject({ status: 405 })
  expect(await ask(metrics.port, '/')).toMatchObject({ status: 404 })
})

it('looks at the runtime each time it is asked', async () => {
  let up = false
  await using metrics = await serveMetrics(options({ isRuntimeUp: async () => up }))
  expect((await ask(metrics.port, '/metrics')).text).toContain('windlass_runtime_up 0\n')
  up = true
  expect((await ask(metrics.port, '/metrics')).text).toContain('windlass_runtime_up 1\n')
})

it('takes small requests and few connections', async () => {
  await using metrics = await serveMetrics(options())
  const large = request({ host: '127.0.0.1', port: metrics.port, path: '/metrics', headers: { 'x-large': 'x'.repeat(9_000) } })
  large.end()
  const [response] = await once(large, 'response')
  expect(response.statusCode).toBe(431)
  response.resume()

  const held = await Promise.all(
    Array.from({ length: 64 }, async () => {
      const socket = connect(metrics.port, '127.0.0.1')
      await once(socket, 'connect')
      return socket
    }),
  )
  // Whoever holds all of them keeps no probe out.
  const [oldest] = held
  if (oldest === undefined) throw new Error('none is held')
  const gone = once(oldest, 'close')
  expect(await ask(metrics.port, '/livez')).toMatchObject({ status: 200 })
  await gone
  for (const socket of held) socket.destroy()
})

it('rejects where the port is taken', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const address = taken.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  await expect(serveMetrics(options({ port }))).rejects.toMatchObject({ code: 'EADDRINUSE' })
  taken.close()
})

it('counts the images of many lists once', async () => {
  const images = Array.from({ length: 90_000 }, (_, at) => ({ list: `l${at % 300}`, state: 'here' as const }))
  await using metrics = await serveMetrics(options({ prepull: () => ({ images, problems: 0 }) }))
  const began = performance.now()
  const { text } = await ask(metrics.port, '/metrics')
  expect(performance.now() - began).toBeLessThan(2_000)
  expect(text).toContain('windlass_prepull_images{list="l299",state="here"} 300\n')
})

it('shows lists of images where there are any, and those that have gone no more', async () => {
  let images: readonly { list: string; state: 'here' | 'failed' }[] = [
    { list: 'base', state: 'here' },
    { list: 'base', state: 'failed' },
    { list: 'base', state: 'here' },
  ]
  await using metrics = await serveMetrics(options({ prepull: () => ({ images, problems: 1 }) }))
  const shown = async () => (await ask(metrics.port, '/metrics')).text.match(/^windlass_prepull.*[1-9]$/gm)
  expect(await shown()).toEqual([
    'windlass_prepull_images{list="base",state="here"} 2',
    'windlass_prepull_images{list="base",state="failed"} 1',
    'windlass_prepull_list_problems 1',
  ])
  images = []
  expect(await shown()).toEqual(['windlass_prepull_list_problems 1'])
  await using none = await serveMetrics(options())
  expect((await ask(none.port, '/metrics')).text).not.toContain('prepull')
})
