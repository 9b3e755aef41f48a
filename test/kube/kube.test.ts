import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, test } from 'vitest'
import { ClusterApi } from '../../src/kube/api.ts'
import { Conditions } from '../../src/kube/conditions.ts'
import { Events } from '../../src/kube/events.ts'
import { inCluster } from '../../src/kube/in-cluster.ts'
import type { ListStanding } from '../../src/kube/kube.ts'
import { hasOpenssl, makeCertificates } from '../registry/certificates.ts'
import { type ApiServer, startApiServer } from './api-server.ts'

const NODE = 'node-1.example'

/** A client with the files that kubelet would mount, over plain HTTP. */
async function cluster() {
  await using open = new AsyncDisposableStack()
  const server = open.use(await startApiServer(NODE))
  const dir = open.adopt(mkdtempDisposableSync(join(tmpdir(), 'windlass-kube-')), (each) => each.remove())
  server.mountInto(dir.path, '')
  const files = { tokenFile: join(dir.path, 'token'), caFile: join(dir.path, 'ca.crt') }
  const origin = `http://127.0.0.1:${server.port}`
  const api = open.use(new ClusterApi({ origin, ...files, node: NODE, userAgent: 'windlass/1', firstWaitMs: 5 }))
  const writes: string[] = []
  const warnings: string[] = []
  const told = {
    api,
    node: NODE,
    onWrite: (resource: string, outcome: string) => void writes.push(`${resource} ${outcome}`),
    log: { warn: (fields: object, text: string) => void warnings.push(`${text} ${JSON.stringify(fields, messages)}`) },
  }
  const kept = open.move()
  return { server, api, ...files, told, writes, warnings, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}
const messages = (_: string, value: unknown): unknown => (value instanceof Error ? value.message : value)

const whole = (name: string, message = 'all here'): ListStanding => ({ name, isWhole: true, reason: 'AllImagesHere', message })
const lacking = (name: string, message: string): ListStanding => ({ name, isWhole: false, reason: 'ImagesMissing', message })
const typesOf = (server: ApiServer): Record<string, string | undefined> =>
  Object.fromEntries(server.conditions().map(({ type, status }) => [type, status]))

describe('who we are', () => {
  const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443', NODE_NAME: NODE }

  it('is found in a pod', () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-sa-'))
    for (const name of ['token', 'ca.crt']) writeFileSync(join(dir.path, name), '')
    expect(inCluster(env, dir.path)).toEqual({
      origin: 'https://[fd00::1]:6443',
      tokenFile: join(dir.path, 'token'),
      caFile: join(dir.path, 'ca.crt'),
      node: NODE,
    })
  })

  it.each([
    [{}, 'KUBERNETES_SERVICE_HOST is not set'],
    [{ ...env, NODE_NAME: '' }, 'NODE_NAME is not set'],
    [{ ...env, NODE_NAME: '../../x' }, 'names no node'],
    [{ ...env, KUBERNETES_SERVICE_PORT: 'x' }, 'no address'],
  ])('is missing, and said to be: %o', (given, what) => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-sa-'))
    for (const name of ['token', 'ca.crt']) writeFileSync(join(dir.path, name), '')
    expect(inCluster(given, dir.path)).toEqual({ missing: expect.stringContaining(what) })
    expect(inCluster(env, join(dir.path, 'none'))).toEqual({ missing: expect.stringContaining('automountServiceAccountToken') })
  })
})

describe('a request', () => {
  const patch = {
    method: 'PATCH',
    path: `/api/v1/nodes/${NODE}/status`,
    body: {},
    type: 'application/strategic-merge-patch+json',
  } as const
  const signal = AbortSignal.timeout(20_000)

  it('is made with the token as it is now', async () => {
    await using at = await cluster()
    await at.api.send(patch, { signal })
    at.server.token = 'token-2'
    writeFileSync(at.tokenFile, 'token-2')
    await at.api.send(patch, { signal })
    expect(at.server.headers.map(({ authorization }) => authorization)).toEqual(['Bearer token-1', 'Bearer token-2'])
  })

  it('is made again with a token that has rotated meanwhile', async () => {
    await using at = await cluster()
    at.server.token = 'token-2'
    at.server.fault = () => {
      writeFileSync(at.tokenFile, 'token-2')
      return undefined
    }
    await at.api.send(patch, { signal })
    expect(at.server.requests).toHaveLength(2)
  })

  it.each([409, 429, 500, 503, 'hang-up'] as const)('is made again after %s', async (what) => {
    await using at = await cluster()
    let faults = 2
    at.server.fault = () => (faults-- > 0 ? (what === 'hang-up' ? what : { status: what, reason: 'Conflict' }) : undefined)
    await at.api.send(patch, { signal })
    expect(at.server.requests).toHaveLength(3)
  })

  it('waits as long as it is told to', async () => {
    await using at = await cluster()
    let faults = 1
    at.server.fault = () => (faults-- > 0 ? { status: 429, headers: { 'retry-after': '1' } } : undefined)
    const started = performance.now()
    await at.api.send(patch, { signal })
    expect(performance.now() - started).toBeGreaterThanOrEqual(990)
  })

  it.each([403, 404, 415, 422])('is given up at once after %d, and says why', async (status) => {
    await using at = await cluster()
    at.server.fault = () => ({ status, reason: 'Reason' })
    await expect(at.api.send(patch, { signal })).rejects.toMatchObject({
      status,
      message: `PATCH ${patch.path} was answered ${status} Reason a fault`,
    })
    expect(at.server.requests).toHaveLength(1)
  })

  it('is given up after so many tries, and when nobody wants it any more', async () => {
    await using at = await cluster()
    at.server.fault = () => ({ status: 503 })
    await expect(at.api.send(patch, { signal })).rejects.toMatchObject({ status: 503 })
    expect(at.server.requests).toHaveLength(6)
    const left = new AbortController()
    at.server.fault = () => {
      left.abort(new Error('left'))
      return { status: 503, headers: { 'retry-after': '30' } }
    }
    await expect(at.api.send(patch, { signal: left.signal })).rejects.toThrow()
    expect(at.server.requests).toHaveLength(7)
  })

  it('has no token in what it says', async () => {
    await using at = await cluster()
    await at.server[Symbol.asyncDispose]()
    writeFileSync(at.tokenFile, 'canary\u0007header')
    const error: unknown = await at.api.send(patch, { signal }).catch((thrown: unknown) => thrown)
    expect(String(error)).toContain('cannot be asked')
    expect(String(error)).not.toContain('canary')
  })

  it.skipIf(!hasOpenssl)('believes the authority that is mounted, and no other', async () => {
    const [good, bad] = [makeCertificates(), makeCertificates()]
    await using server = await startApiServer(NODE, good.server)
    using dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-kube-'))
    server.mountInto(dir.path, bad.ca)
    const files = { tokenFile: join(dir.path, 'token'), caFile: join(dir.path, 'ca.crt') }
    const origin = `https://127.0.0.1:${server.port}`
    await using api = new ClusterApi({ origin, ...files, node: NODE, userAgent: 'windlass/1', firstWaitMs: 1 })
    await expect(api.send(patch, { signal })).rejects.toThrow(/cannot be asked: (UNABLE|CERT|DEPTH|SELF)/)
    expect(server.requests).toEqual([])
    // It rotates, too.
    writeFileSync(files.caFile, good.ca)
    await api.send(patch, { signal })
    expect(server.requests).toHaveLength(1)
  })
})

describe('conditions', () => {
  test('say of each list whether it is whole, and when that has changed', async () => {
    await using at = await cluster()
    await using conditions = new Conditions({ ...at.told, settleMs: 5 })
    conditions.set({ standings: [whole('base'), lacking('ml', 'two are missing')], areAll: true })
    await at.server.until(() => at.server.conditions().length === 2)
    const [base, ml] = at.server.conditions()
    expect(base).toMatchObject({ type: 'windlass.dev/base', status: 'True', reason: 'AllImagesHere', message: 'all here' })
    expect(ml).toMatchObject({ type: 'windlass.dev/ml', status: 'False', reason: 'ImagesMissing', message: 'two are missing' })
    expect(base?.lastTransitionTime).toBe(base?.lastHeartbeatTime)

    conditions.set({ standings: [whole('base'), whole('ml')], areAll: true })
    await at.server.until(() => typesOf(at.server)['windlass.dev/ml'] === 'True')
    conditions.set({ standings: [lacking('base', 'one is lost'), whole('ml')], areAll: true })
    await at.server.until(() => typesOf(at.server)['windlass.dev/base'] === 'False')
    expect(at.server.kubelets).toMatchObject({ type: 'Ready', status: 'True' })
    expect(at.server.requests.every(({ body }) => !JSON.stringify(body).includes('resourceVersion'))).toBe(true)
  })

  test('are written only where they differ from what is there, a start of the daemon included', async () => {
    await using at = await cluster()
    {
      await using conditions = new Conditions({ ...at.told, settleMs: 5 })
      conditions.set({ standings: [whole('base')], areAll: true })
      await at.server.until(() => at.server.conditions().length === 1)
    }
    const [before] = at.server.conditions()
    const version = at.server.resourceVersion()
    const count = at.server.requests.length
    await using conditions = new Conditions({ ...at.told, settleMs: 5 })
    for (let i = 0; i < 50; i++) conditions.set({ standings: [whole('base')], areAll: true })
    await at.server.until(() => at.server.requests.length > count)
    conditions.set({ standings: [whole('base'), whole('other')], areAll: true })
    await at.server.until(() => at.server.conditions().length === 2)
    // One that asks what there is, one that writes.
    expect(at.server.requests.slice(count).map(({ body }) => body)).toEqual([
      {},
      { status: { conditions: [expect.objectContaining({ type: 'windlass.dev/other' })] } },
    ])
    expect(at.server.conditions()[0]).toEqual(before)
    expect(at.server.resourceVersion()).toBe(version + 1)
  })

  test('go with their list, but not while lists may be unread', async () => {
    await using at = await cluster()
    await using conditions = new Conditions({ ...at.told, settleMs: 5 })
    conditions.set({ standings: [whole('a'), whole('b')], areAll: true })
    await at.server.until(() => at.server.conditions().length === 2)
    conditions.set({ standings: [whole('a', 'another message')], areAll: false })
    await at.server.until(() => at.server.conditions()[0]?.message === 'another message')
    expect(Object.keys(typesOf(at.server))).toEqual(['windlass.dev/a', 'windlass.dev/b'])
    conditions.set({ standings: [whole('a')], areAll: true })
    await at.server.until(() => at.server.conditions().length === 1)
    expect(Object.keys(typesOf(at.server))).toEqual(['windlass.dev/a'])
    expect(at.server.kubelets.type).toBe('Ready')
  })

  test('are of no more lists than a node should carry, and it is said that there are more', async () => {
    await using at = await cluster()
    await using conditions = new Conditions({ ...at.told, settleMs: 5 })
    const lists = Array.from({ length: 3_000 }, (_, number) => whole(`l${number}`))
    conditions.set({ standings: lists, areAll: true })
    await at.server.until(() => at.server.conditions().length > 0)
    expect(at.server.conditions()).toHaveLength(100)
    expect(at.warnings).toEqual([expect.stringContaining('more image lists')])
  })

  test('are renewed now and then, without a change of what they say', async () => {
    await using at = await cluster()
    await using conditions = new Conditions({ ...at.told, settleMs: 5, heartbeatMs: 1_100 })
    conditions.set({ standings: [whole('base')], areAll: true })
    await at.server.until(() => at.server.conditions().length === 1)
    const [before] = at.server.conditions()
    await at.server.until(() => at.server.conditions()[0]?.lastHeartbeatTime !== before?.lastHeartbeatTime)
    expect(at.server.conditions()[0]).toEqual({ ...before, lastHeartbeatTime: expect.any(String) })
  })

  test('are given up and logged where they may not be written; changes without end do not put them off', async () => {
    await using at = await cluster()
    at.server.fault = () => ({ status: 403, reason: 'Forbidden' })
    await using conditions = new Conditions({ ...at.told, settleMs: 20 })
    let changes = 0
    const changing = setInterval(() => conditions.set({ standings: [lacking('base', `${changes++}`)], areAll: true }), 2)
    await at.server.until(() => at.server.requests.length > 0)
    clearInterval(changing)
    await expect.poll(() => at.writes).toContain('nodes failed')
    expect(at.warnings[0]).toContain('the conditions of this node could not be written')
    expect(at.warnings[0]).toContain('403 Forbidden')
  })
})

describe('Events', () => {
  const mishap = (subject: string, message = 'it was not pulled') => ({ reason: 'PrepullFailed', subject, message })

  test('are one for each thing that goes wrong, counted up', async () => {
    await using at = await cluster()
    await using events = new Events({ ...at.told, everyMs: 30 })
    events.add(mishap('base a:1'))
    events.add(mishap('base b:1'))
    await at.server.until(() => at.server.events.size === 2)
    for (let i = 0; i < 4; i++) events.add(mishap('base a:1', `attempt ${i + 2}`))
    await at.server.until(() => [...at.server.events.values()].some(({ count }) => count === 5))
    expect(at.server.events.size).toBe(2)
    const [first] = at.server.events.values()
    expect(first).toMatchObject({
      involvedObject: { kind: 'Node', name: NODE, uid: NODE },
      type: 'Warning',
      reason: 'PrepullFailed',
      message: 'attempt 5',
      count: 5,
      source: { component: 'windlass', host: NODE },
    })
    expect(at.server.requests.filter(({ method }) => method === 'POST')).toHaveLength(2)
    expect(at.writes.every((each) => each === 'events done')).toBe(true)
  })

  test('are made anew where the API server has forgotten them', async () => {
    await using at = await cluster()
    await using events = new Events({ ...at.told, everyMs: 5 })
    events.add(mishap('base a:1'))
    await at.server.until(() => at.server.events.size === 1)
    at.server.events.clear()
    events.add(mishap('base a:1'))
    await at.server.until(() => at.server.events.size === 1)
    expect([...at.server.events.values()]).toMatchObject([{ count: 2 }])
  })

  test('have a name, however long that of the node is', async () => {
    await using at = await cluster()
    const node = `${'n'.repeat(235)}.${'m'.repeat(17)}`
    await using events = new Events({ ...at.told, node })
    events.add({ reason: 'PrepullFailed', subject: 'base app:1', message: 'm' })
    await at.server.until(() => at.server.requests.length === 1)
    expect([...at.server.events.keys()]).toEqual([expect.stringMatching(/^n{235}\.[0-9a-f]{16}$/)])
  })

  test('are not made twice where an answer was lost', async () => {
    await using at = await cluster()
    let lost = false
    at.server.fault = ({ method, body }) => {
      if (method !== 'POST' || lost) return undefined
      lost = true
      // It was written, and nobody heard of it.
      at.server.events.set((body as { metadata: { name: string } }).metadata.name, body as never)
      return 'hang-up'
    }
    await using events = new Events({ ...at.told, everyMs: 5 })
    events.add(mishap('base a:1'))
    await expect.poll(() => at.writes).toEqual(['events done'])
    expect(at.server.requests.map(({ method }) => method)).toEqual(['POST', 'POST', 'PATCH'])
    expect(at.server.events.size).toBe(1)
  })

  test('are few, however much goes wrong', async () => {
    await using at = await cluster()
    await using events = new Events({ ...at.told, everyMs: 5 })
    for (let round = 0; round < 3; round++) for (let i = 0; i < 1_000; i++) events.add(mishap(`base image-${i}`))
    await at.server.until(() => at.server.requests.length === 25)
    // The next one comes when ten seconds are over.
    events.add(mishap('base another'))
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(at.server.requests).toHaveLength(25)
  })

  test('that may not be written are logged, and keep nobody waiting', async () => {
    await using at = await cluster()
    at.server.fault = () => ({ status: 403, reason: 'Forbidden' })
    await using events = new Events(at.told)
    events.add(mishap('base a:1'))
    await expect.poll(() => at.warnings.length).toBe(1)
    expect(at.writes).toEqual(['events failed'])
    expect(at.warnings[0]).toContain('an Event could not be written')
  })
})
