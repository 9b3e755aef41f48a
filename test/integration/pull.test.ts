/** Whole pulls: a real daemon, called as kubelet calls it. Sharing, leaving, and what a real registry serves. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Compression } from '../../src/oci/oci.ts'
import { RpcError } from '../../src/rpc/status.ts'
import { basicAuthorization, login, startDockerRegistry } from '../registry/docker-registry.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { buildImage, buildIndex, buildLayer, type Flavour, publish } from '../support/image.ts'
import { lacking } from './lacking.ts'
import { eventually, startNode } from './node.ts'
import { push } from './push.ts'

const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
const here = { os: 'linux', architecture } as const
const elsewhere = { os: 'linux', architecture: architecture === 'arm64' ? 'amd64' : 'arm64' } as const
const layer = (name: string, size = 1000, compression: Compression = 'gzip', flavour: Flavour = 'oci') =>
  buildLayer({ tar: [{ name, content: randomBytes(size) }], compression }, flavour)

/** How often each path below /v2 was answered with a body, from docker-registry's access log. */
function gets(log: string): ReadonlyMap<string, number> {
  const paths = [...log.matchAll(/"GET (\/v2\/\S+\/(?:blobs|manifests)\/\S+) HTTP\/[\d.]+" 200 /g)].map(([, path = '']) => path)
  return new Map([...Map.groupBy(paths, (path) => path)].map(([path, all]) => [path, all.length]))
}

const failureOf = async (call: Promise<unknown>): Promise<RpcError> => {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof RpcError)) throw new Error(`wanted a failed call, got ${String(error)}`)
  return error
}

describe.skipIf(lacking('root', 'docker-registry'))('from docker-registry', () => {
  it('fetches every manifest and blob once for 200 callers at once', async ({ signal }) => {
    await using registry = await startDockerRegistry()
    await using node = await startNode({ signal })
    const image = buildImage({ platform: here, layers: [layer('a', 4_000_000), layer('b', 2_000_000), layer('c')] })
    await push({ host: registry.host, repository: 'test/many' }, '1', buildIndex([image]))

    const reference = `${registry.host}/test/many:1`
    const ids = await Promise.all(Array.from({ length: 200 }, () => node.pull(reference, { signal })))
    expect(new Set(ids)).toEqual(new Set([image.id]))
    const counts = gets(registry.log())
    // The index, the manifest, the config, three layers.
    expect(counts.size).toBe(6)
    expect([...counts.values()]).toEqual(Array(6).fill(1))
  })

  const flavours: readonly (readonly [Flavour, Compression])[] = [
    ['oci', 'gzip'],
    ['oci', 'zstd'],
    ['oci', 'none'],
    ['docker', 'gzip'],
    ['docker', 'none'],
  ]
  it.for(flavours)('pulls %s images of %s layers, alone and from an index', async ([flavour, compression], { signal }) => {
    await using registry = await startDockerRegistry()
    await using node = await startNode({ signal })
    const layers = [
      buildLayer({ tar: [{ name: 'base', content: flavour }], compression }, flavour),
      buildLayer({ tar: [{ name: 'top', content: compression }], compression }, flavour),
    ]
    const image = buildImage({ flavour, platform: here, layers })
    const other = buildImage({ flavour, platform: elsewhere, layers: [layer('other')] })
    const repository = 'test/formats'
    await push({ host: registry.host, repository }, 'alone', image)
    await push({ host: registry.host, repository }, 'index', buildIndex([other, image], flavour))

    for (const tag of ['alone', 'index']) {
      const reference = `${registry.host}/${repository}:${tag}`
      expect(await node.pull(reference, { signal })).toBe(image.id)
      await using _mount = await node.windlass.mount(reference, node.at('tree'), { signal })
      expect(readFileSync(join(node.at('tree'), 'base'), 'utf8')).toBe(flavour)
      expect(readFileSync(join(node.at('tree'), 'top'), 'utf8')).toBe(compression)
    }
  })

  it('logs in with Basic auth, and says who was refused where', async ({ signal }) => {
    await using registry = await startDockerRegistry({ auth: 'basic' })
    await using node = await startNode({ signal })
    const image = buildImage({ platform: here, layers: [layer('secret')] })
    await push({ host: registry.host, repository: 'test/private', authorization: basicAuthorization() }, '1', image)
    const { image: images } = node.windlass.cri
    const spec = { image: { image: `${registry.host}/test/private:1` } }

    const anonymous = await failureOf(images.pullImage(spec, { signal }))
    expect(anonymous.kind).toBe('unauthorized')
    expect(anonymous.message).toContain(registry.host)
    const wrong = await failureOf(images.pullImage({ ...spec, auth: { ...login, password: 'wrong-one' } }, { signal }))
    expect(wrong.kind).toBe('unauthorized')
    expect(wrong.message).toContain(login.username)
    expect(wrong.message).not.toContain('wrong-one')
    expect((await images.pullImage({ ...spec, auth: login }, { signal })).imageRef).toBe(image.id)
    const auth = btoa(`${login.username}:${login.password}`)
    expect((await images.pullImage({ ...spec, auth: { auth } }, { signal })).imageRef).toBe(image.id)
    // Being here is no permission: the registry decides each time.
    expect((await failureOf(images.pullImage({ ...spec, auth: { ...login, password: 'wrong' } }, { signal }))).kind).toBe(
      'unauthorized',
    )
  })

  it('says which tag is unknown, and what an index offers instead of this platform', async ({ signal }) => {
    await using registry = await startDockerRegistry()
    await using node = await startNode({ signal })
    const index = buildIndex([buildImage({ platform: { os: 'linux', architecture: 's390x' }, layers: [layer('x')] })])
    await push({ host: registry.host, repository: 'test/offers' }, '1', index)

    const unknown = await failureOf(node.pull(`${registry.host}/test/offers:2`, { signal }))
    expect([unknown.code, unknown.kind]).toEqual(['NOT_FOUND', 'manifest-unknown'])
    expect(unknown.message).toContain(registry.host)
    const other = await failureOf(node.pull(`${registry.host}/test/offers:1`, { signal }))
    expect(other.kind).toBe('no-platform')
    expect(other.message).toContain('linux/s390x')
    expect(other.message).toContain(`linux/${architecture}`)
    expect([...gets(registry.log()).keys()].filter((path) => path.includes('/blobs/'))).toEqual([])
    expect(await node.unfinished()).toEqual([])
  })
})

describe.skipIf(lacking('root'))('shared', () => {
  it('goes on for the one who stays when 199 of 200 leave', async ({ signal }) => {
    await using registry = await startRegistry()
    await using node = await startNode({ signal })
    const image = buildImage({ platform: here, layers: [layer('held', 100_000)] })
    publish(registry, 'test/leave', '1', image)
    const gate = Promise.withResolvers<void>()
    const held = image.layers[0]?.descriptor.digest ?? ''
    registry.fault = ({ path }) => (path.endsWith(held) ? { kind: 'hold', until: gate.promise } : undefined)

    const leave = new AbortController()
    const reference = `${registry.host}/test/leave:1`
    const stays = node.pull(reference, { signal })
    const leavers = Array.from({ length: 199 }, () => node.pull(reference, { signal: leave.signal }))
    const left = Promise.allSettled(leavers)
    await node.pulls(([pull]) => pull?.clients.length === 200, { signal })
    leave.abort()
    expect((await left).map(({ status }) => status)).toEqual(Array(199).fill('rejected'))
    await node.pulls(([pull]) => pull?.clients.length === 1, { signal })
    gate.resolve()
    expect(await stays).toBe(image.id)
    expect(registry.requests.filter(({ method, path }) => method === 'GET' && path.endsWith(held))).toHaveLength(1)
    expect(await node.unfinished()).toEqual([])
  })

  it('fetches a layer once for two images that want it at the same time', async ({ signal }) => {
    await using registry = await startRegistry()
    await using node = await startNode({ signal })
    const shared = layer('shared', 500_000)
    const one = buildImage({ platform: here, layers: [shared, layer('one')] })
    // In another place of another chain, so that it cannot be the same directory.
    const two = buildImage({ platform: here, layers: [layer('two'), shared] })
    publish(registry, 'test/one', '1', one)
    publish(registry, 'test/two', '1', two)
    const gate = Promise.withResolvers<void>()
    registry.fault = ({ path }) => (path.endsWith(shared.descriptor.digest) ? { kind: 'hold', until: gate.promise } : undefined)

    const pulls = ['one', 'two'].map((name) => node.pull(`${registry.host}/test/${name}:1`, { signal }))
    await node.pulls((all) => all.length === 2 && all.every(({ phase }) => phase === 'pulling'), { signal })
    gate.resolve()
    expect(await Promise.all(pulls)).toEqual([one.id, two.id])
    expect(registry.blobGets(shared.descriptor.digest)).toBe(1)
    for (const name of ['one', 'two']) {
      await using _mount = await node.windlass.mount(`${registry.host}/test/${name}:1`, node.at(name), { signal })
      expect(readFileSync(join(node.at(name), 'shared')).length).toBe(500_000)
      expect(readFileSync(join(node.at(name), name)).length).toBe(1000)
    }
  })

  it('stops when the last caller leaves, and leaves nothing staged', async ({ signal }) => {
    await using registry = await startRegistry({ blobBytesPerSecond: 200_000 })
    await using node = await startNode({ signal })
    const image = buildImage({ platform: here, layers: [layer('slow', 5_000_000), layer('slower', 6_000_000)] })
    publish(registry, 'test/slow', '1', image)
    const leave = new AbortController()
    const reference = `${registry.host}/test/slow:1`

    const callers = [node.pull(reference, { signal: leave.signal }), node.pull(reference, { signal: leave.signal })]
    const left = Promise.allSettled(callers)
    await node.pulls(([pull]) => (pull?.layers ?? []).some(({ bytes }) => Number(bytes) > 0), { signal })
    expect(await node.unfinished()).not.toEqual([])
    leave.abort()
    await left
    await node.pulls((pulls) => pulls.length === 0, { signal })
    await eventually(async () => (await node.unfinished()).length === 0, { signal })
    await eventually(
      async () => registry.requests.filter(({ path }) => path.includes('/blobs/')).some(({ aborted }) => aborted),
      {
        signal,
      },
    )
    expect((await node.windlass.cri.image.listImages({}, { signal })).images).toEqual([])
  })
})
