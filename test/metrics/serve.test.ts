import { once } from 'node:events'
import { request } from 'node:http'
import { connect, createServer } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { MetricsOptions } from '../../src/metrics/serve.ts'
import { serveMetrics } from '../../src/metrics/serve.ts'

const options = (more: Partial<MetricsOptions> = {}): MetricsOptions => ({
  host: '127.0.0.1',
  port: 0,
  version: '1.2.3',
  pullsInFlight: () => 0,
  whyNotReady: async () => undefined,
  onError: () => {},
  ...more,
})

async function ask(port: number, path: string, method = 'GET') {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method })
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}

it('shows what was counted, in the text form of Prometheus', async () => {
  let pulls = 0
  await using metrics = await serveMetrics(options({ pullsInFlight: () => pulls }))
  metrics.forwarded('no-space')
  metrics.forwarded('no-space')
  metrics.pull('docker.io', 'pulled')
  metrics.pull('r.example', 'unauthorized')
  metrics.passthrough(true, 'switched')
  pulls = 3
  const { status, type, text } = await ask(metrics.port, '/metrics')
  expect({ status, type }).toEqual({ status: 200, type: 'text/plain; version=0.0.4; charset=utf-8' })
  expect(text.split('\n').filter((line) => /^windlass_(?!event_loop)/.test(line))).toEqual([
    'windlass_build_info{version="1.2.3"} 1',
    'windlass_passthrough{reason="switched"} 1',
    'windlass_passthrough{reason="bad-config"} 0',
    'windlass_passthrough{reason="not-open"} 0',
    'windlass_image_pulls_forwarded_total{reason="no-space"} 2',
    'windlass_image_pulls_total{registry="docker.io",result="pulled"} 1',
    'windlass_image_pulls_total{registry="r.example",result="unauthorized"} 1',
    'windlass_image_pulls_in_progress 3',
  ])
  expect(text).toContain('# TYPE windlass_image_pulls_total counter')
  metrics.passthrough(false, 'switched')
  expect((await ask(metrics.port, '/metrics')).text).toContain('windlass_passthrough{reason="switched"} 0')
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
  expect(held.get('process_resident_memory_bytes')).toBeGreaterThan(held.get('nodejs_heap_size_used_bytes') ?? Number.NaN)
})

it('counts registries beyond the first fifty together', async () => {
  await using metrics = await serveMetrics(options())
  for (let i = 0; i < 1_000; i++) metrics.pull(`r${i}.example`, 'pulled')
  metrics.pull('r7.example', 'pulled')
  const lines = (await ask(metrics.port, '/metrics')).text
    .split('\n')
    .filter((line) => line.startsWith('windlass_image_pulls_total{'))
  expect(lines).toHaveLength(51)
  expect(lines).toContain('windlass_image_pulls_total{registry="r7.example",result="pulled"} 2')
  expect(lines).toContain('windlass_image_pulls_total{registry="other",result="pulled"} 950')
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
  const oneMore = connect(metrics.port, '127.0.0.1').resume()
  await once(oneMore, 'close')
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
