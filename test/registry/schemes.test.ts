/** Hosts that may be asked over HTTPS or plain HTTP, on one port that speaks both. */
import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { Agents } from '../../src/registry/agents.ts'
import type { Host } from '../../src/registry/hosts.ts'
import type { Credentials } from '../../src/registry/registry.ts'
import { Schemes } from '../../src/registry/schemes.ts'
import { hasOpenssl, makeCertificates } from './certificates.ts'
import { aManifest, certsDir, failureFrom, newClient, signal } from './client-under-test.ts'

const alice: Credentials = { kind: 'basic', username: 'alice', password: 'canary' }

const registry: RequestListener = ({ headers }, response) =>
  headers.authorization === undefined
    ? response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
    : response.end(aManifest)

/** `plain` answers what comes over plain HTTP; so many TLS connections are reset, from when it is said. */
async function startBoth(plain: (tlsOrigin: string) => RequestListener) {
  const asked: string[] = []
  let resets = 0
  let host = ''
  const secure = createHttpsServer({ ...makeCertificates().server }, (request, response) => {
    asked.push(`https ${request.headers.authorization === undefined ? 'without' : 'with'}`)
    registry(request, response)
  })
  const open = createHttpServer((request, response) => {
    asked.push(`http ${request.headers.authorization === undefined ? 'without' : 'with'}`)
    plain(`https://${host}`)(request, response)
  })
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.once('error', () => socket.destroy()))
    socket.once('data', (first) => {
      const isTls = first[0] === 0x16
      if (isTls && resets-- > 0) return void socket.resetAndDestroy()
      socket.pause()
      socket.unshift(first)
      ;(isTls ? secure : open).emit('connection', socket)
      process.nextTick(() => socket.resume())
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  return {
    host,
    asked,
    /** Connections that are open are cut. */
    reset: (times: number) => {
      resets = times
      for (const socket of sockets) socket.destroy()
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

const insecure = (host: string) => certsDir({ 'registries.conf': `[[registry]]\nlocation = "${host}"\ninsecure = true\n` })

describe.skipIf(!hasOpenssl)('a registry that is called insecure, and is asked over HTTPS', () => {
  const others: [string, (tlsOrigin: string) => RequestListener][] = [
    [
      'sends on to HTTPS',
      (to) =>
        ({ url }, response) =>
          response.writeHead(301, { location: `${to}${url}` }).end(),
    ],
    ['knows nothing', () => (_, response) => response.writeHead(404).end()],
  ]
  it.each(others)('is not asked otherwise where a connection breaks and what speaks plain HTTP %s', async (_, plain) => {
    await using both = await startBoth(plain)
    using dir = insecure(both.host)
    await using client = newClient({ registriesConf: `${dir.path}/registries.conf` })
    both.reset(1)
    expect(await client.open(both.host, { credentials: alice }).resolve({ signal: signal() })).toBeDefined()
    expect(both.asked).not.toContain('http with')
  })

  it('gets no password over plain HTTP once HTTPS has worked', async () => {
    await using both = await startBoth(() => registry)
    using dir = insecure(both.host)
    await using client = newClient({ registriesConf: `${dir.path}/registries.conf` })
    const repository = client.open(both.host, { credentials: alice })
    expect(await repository.resolve({ signal: signal() })).toBeDefined()
    both.reset(3)
    expect(await repository.resolve({ signal: signal() })).toBeDefined()
    expect(both.asked.filter((line) => line.startsWith('http '))).toEqual([])
  })

  it('is asked over plain HTTP where HTTPS never works and a registry is there, which is told of its login then', async () => {
    await using both = await startBoth(() => registry)
    using dir = insecure(both.host)
    await using client = newClient({ registriesConf: `${dir.path}/registries.conf` })
    both.reset(Number.POSITIVE_INFINITY)
    const repository = client.open(both.host, { credentials: alice })
    expect(await repository.resolve({ signal: signal() })).toBeDefined()
    expect(await repository.resolve({ signal: signal() })).toBeDefined()
    expect(both.asked).toEqual(['http without', 'http without', 'http with', 'http with'])
    expect(client.events.filter(({ type }) => type === 'plain-http')).toHaveLength(1)
  })

  it('tells of HTTPS where neither works', async () => {
    await using both = await startBoth(() => (_, response) => response.writeHead(404).end())
    using dir = insecure(both.host)
    await using client = newClient({ registriesConf: `${dir.path}/registries.conf` })
    both.reset(Number.POSITIVE_INFINITY)
    const failure = await failureFrom(client.open(both.host).resolve({ signal: signal() }), 'registry-unavailable')
    expect(failure.tried[0]?.result).toMatch(/reset|closed|disconnected/)
  })
})

it('what worked is known for five minutes, and plain HTTP no longer for being used', async () => {
  let now = 0
  await using agents = new Agents(1_000)
  const schemes = new Schemes(agents, 'windlass-test', () => now)
  const host: Host = {
    name: 'r.example',
    schemes: ['https', 'http'],
    isInsecure: true,
    path: '/v2',
    capabilities: new Set(),
    named: true,
    namespace: undefined,
    headers: {},
    tls: { ca: [], clients: [], skipVerify: true },
    dialTimeoutMs: 1_000,
  }
  schemes.answered(host, 'http')
  now = 299_000
  schemes.answered(host, 'http')
  expect(schemes.of(host)).toEqual(['http'])
  now = 301_000
  expect(schemes.of(host)).toEqual(['https', 'http'])
  schemes.answered(host, 'https')
  schemes.broke(host, 'https', new Error('reset'))
  expect(schemes.of(host)).toEqual(['https'])
  schemes.broke(host, 'https', Object.assign(new Error('it spoke HTTP'), { code: 'ERR_SSL_WRONG_VERSION_NUMBER' }))
  expect(schemes.of(host)).toEqual(['https', 'http'])
})
