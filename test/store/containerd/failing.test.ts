/** containerd dies, or others take away what is ours, at each step of a landing: an error, nothing half there, and the next pull works. */
import { readdirSync, rmSync, truncateSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { failureOf } from '../../../src/failure/failure.ts'
import { sha256 } from '../../../src/oci/digest.ts'
import { openContainerdStore } from '../../../src/store/containerd/containerd.ts'
import type { ContainerdStore } from '../../../src/store/containerd/containerd-store.ts'
import { Daemon } from '../../../src/store/containerd/daemon.ts'
import { type Containerd, startContainerd } from '../../integration/containerd.ts'
import { lacking } from '../../integration/lacking.ts'
import { commitChain, imageOver } from '../fixtures.ts'
import { recordingLog } from '../local/place.ts'
import { type Gate, openGate, type Passing } from './gate.ts'

const platform = { os: 'linux', architecture: 'amd64' }
const layers = ['base', 'top']
const image = imageOver(layers, { tag: 'registry.test/app:1' })

interface Node extends AsyncDisposable {
  readonly store: ContainerdStore
  readonly containerd: Containerd
  readonly gate: Gate
  /** The file that containerd keeps content in. */
  content(digest: string): string
  /** What containerd has, after a whole collection. */
  left(): Promise<{
    readonly images: string[]
    readonly snapshots: string[]
    readonly content: string[]
    readonly leases: number
  }>
}

async function startNode({ signal }: { readonly signal: AbortSignal }): Promise<Node> {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await mkdtempDisposable(join(tmpdir(), 'windlass-failing-')))
  const containerd = stack.use(await startContainerd(join(path, 'containerd'), { signal }))
  const gate = stack.use(await openGate(join(path, 'gate.sock'), containerd.socket))
  const store = stack.use(
    await openContainerdStore({ root: join(path, 'root'), socket: gate.socket, platform, log: recordingLog() }, { signal }),
  )
  const list = async (...args: string[]): Promise<string[]> =>
    (await containerd.ctr(args, { signal })).split('\n').filter(Boolean).toSorted()
  const held = stack.move()
  return {
    store,
    containerd,
    gate,
    content: (digest) => join(path, 'containerd', 'root', 'io.containerd.content.v1.content', 'blobs', digest.replace(':', '/')),
    left: async () => {
      await containerd.ctr(['leases', 'create', '--id', 'now'], { signal })
      await containerd.ctr(['leases', 'rm', '--sync', 'now'], { signal })
      const snapshots = (await list('snapshots', '--snapshotter', 'overlayfs', 'ls')).map((line) => line.split(' ')[0] ?? '')
      return {
        images: await list('images', 'ls', '-q'),
        snapshots: snapshots.filter((name) => name !== 'KEY' && !name.startsWith('windlass-staging-')),
        content: await list('content', 'ls', '-q'),
        leases: (await list('leases', 'ls', '-q')).length,
      }
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

/** Layers and image, as a pull brings them. */
async function pull(store: ContainerdStore, { signal }: { readonly signal: AbortSignal }): Promise<string> {
  await using lease = store.lease()
  await lease.retain(store.layerIds(image.config.diffIds))
  await commitChain(
    store,
    layers.map((name) => ({ name })),
  )
  return (await store.publish(image, { signal })).image.id
}

const failureIn = async (work: Promise<unknown>) =>
  failureOf(
    await work.then(
      () => expect.fail('it succeeded'),
      (error: unknown) => error,
    ),
  )

/** Before the nth call of this method. */
function at(method: string, nth: number, act: (call: Passing) => Promise<unknown>): Gate['before'] {
  let seen = 0
  return async (call) => {
    if (call.method !== method || ++seen !== nth) return
    await act(call)
  }
}

/** All of the image, and nothing but the image. */
async function isWhole({ store, left }: Node, leases: unknown = 1): Promise<void> {
  expect((await store.find('registry.test/app:1'))?.layerIds).toEqual(store.layerIds(image.config.diffIds))
  for (const [i, id] of store.layerIds(image.config.diffIds).entries()) {
    const layer = await store.layer(id)
    expect(readdirSync(layer?.diff ?? '')).toEqual([layers[i]])
  }
  expect(await left()).toEqual({
    images: ['registry.test/app:1', image.digest],
    snapshots: chain(store).toSorted(),
    content: [image.id, image.manifest.digest].toSorted(),
    leases,
  })
  for (const dir of [store.stagingDir, store.landedDir]) expect(readdirSync(dir), basename(dir)).toEqual([])
}

/** What the image's snapshots are called, base first. */
const chain = (store: ContainerdStore): readonly string[] => store.layerIds(image.config.diffIds).map((id) => `sha256:${id}`)

const nothing = { images: [], snapshots: [], content: [], leases: 1 }

describe.skipIf(lacking('root', 'containerd'))('documents that containerd has on record', () => {
  // After a power cut: its database was synced, the directory they are found in was not, or not their bytes.
  test.for([
    ['are gone', (path: string) => rmSync(path)],
    ['are empty', (path: string) => truncateSync(path)],
  ] as const)('and that %s are written again by the next pull', async ([, damage], { signal }) => {
    await using node = await startNode({ signal })
    const { store, containerd, content } = node
    await pull(store, { signal })
    for (const digest of [image.manifest.digest, image.id]) damage(content(digest))
    await containerd.crash({ signal })
    expect(await pull(store, { signal })).toBe(image.id)
    await isWhole(node)
    const reference = { image: { image: 'registry.test/app:1' } }
    expect((await containerd.cri.image.imageStatus(reference, { signal })).image?.id).toBe(image.id)
  })

  test('are on disk before a name leads to them', async ({ signal }) => {
    await using node = await startNode({ signal })
    const calls: string[] = []
    node.gate.before = ({ method }) => void calls.push(method)
    await pull(node.store, { signal })
    // The sync lies between the last document and the first commit.
    expect(calls.lastIndexOf('Content/Write')).toBeLessThan(calls.indexOf('Snapshots/Commit'))
  })
})

describe.skipIf(lacking('root', 'containerd'))('a landing that is disturbed', () => {
  test.for([
    ['Leases/Create', 1],
    ['Snapshots/Prepare', 1],
    ['Snapshots/Commit', 1],
    ['Snapshots/Prepare', 2],
    ['Snapshots/Commit', 2],
    ['Content/Write', 1],
    ['Content/Write', 2],
    ['Images/Create', 1],
    ['Images/Create', 2],
  ] as const)('containerd is killed before %s, time %i', async ([method, nth], { signal }) => {
    await using node = await startNode({ signal })
    const { store, gate, containerd, left } = node
    let crash: Promise<void> | undefined
    gate.before = at(method, nth, () => {
      crash = containerd.crash({ signal })
      return crash
    })
    // During the call, or before the next one finds it there again.
    expect(await failureIn(pull(store, { signal }))).toMatchObject({ kind: 'runtime-down' })
    await crash
    expect((await left()).images).toEqual([])
    expect(await pull(store, { signal })).toBe(image.id)
    // A lease that could not be deleted while containerd was away, which on a busy machine is longer than anybody waits, expires by itself.
    await isWhole(node, expect.any(Number))
  })

  test.for([
    ['Snapshots/Prepare', 1],
    ['Snapshots/Commit', 1],
    ['Snapshots/Commit', 2],
    ['Content/Write', 1],
    ['Content/Write', 2],
    ['Images/Create', 1],
  ] as const)('its lease is deleted before %s, time %i', async ([method, nth], { signal }) => {
    await using node = await startNode({ signal })
    const { store, gate, containerd, left } = node
    gate.before = at(method, nth, async ({ lease = '' }) => {
      await containerd.ctr(['leases', 'rm', '--sync', lease], { signal })
    })
    const failure = await failureIn(pull(store, { signal }))
    expect(JSON.stringify(failure)).toMatch(/lease does not exist|containerd does not show/)
    expect(await left()).toEqual(nothing)
    expect(await pull(store, { signal })).toBe(image.id)
    await isWhole(node)
  })

  test('a lease that stays because containerd is away goes with the next pull', async ({ signal }) => {
    await using node = await startNode({ signal })
    const { store, gate, containerd, left } = node
    gate.before = at('Leases/Delete', 1, () => containerd.daemon.stop('SIGKILL'))
    expect(await pull(store, { signal })).toBe(image.id)
    await containerd.crash({ signal })
    expect((await left()).leases).toBeGreaterThan(1)
    expect(await pull(store, { signal })).toBe(image.id)
    await isWhole(node)
  })

  test('a layer that was just committed is removed before the one above it is prepared', async ({ signal }) => {
    await using node = await startNode({ signal })
    const { store, gate, containerd, left } = node
    const [base = ''] = chain(store)
    gate.before = at('Snapshots/Prepare', 2, async () => {
      await containerd.ctr(['snapshots', '--snapshotter', 'overlayfs', 'rm', base], { signal })
    })
    const failure = await failureIn(pull(store, { signal }))
    expect(failure).toMatchObject({ kind: 'runtime', operation: 'prepare a snapshot', code: 'NOT_FOUND' })
    expect(await left()).toEqual(nothing)
    expect(await pull(store, { signal })).toBe(image.id)
    await isWhole(node)
  })

  test('the topmost layer is removed while the image is named', async ({ signal }) => {
    await using node = await startNode({ signal })
    const { store, gate, containerd, left } = node
    const top = chain(store).at(-1) ?? ''
    gate.before = at('Images/Create', 2, async () => {
      await containerd.ctr(['snapshots', '--snapshotter', 'overlayfs', 'rm', top], { signal })
    })
    expect(await failureIn(pull(store, { signal }))).toMatchObject({ kind: 'internal' })
    expect(await left()).toEqual(nothing)
    expect(await pull(store, { signal })).toBe(image.id)
    await isWhole(node)
  })

  test('a name goes back to what had it, with its labels, and stays where somebody gives it anew', async ({ signal }) => {
    await using node = await startNode({ signal })
    const { store, gate, containerd } = node
    using daemon = new Daemon(containerd.socket)
    const [tag = '', top = ''] = [image.tag, chain(store).at(-1)]
    const { mediaType, digest, size } = image.manifest
    const had = { name: tag, target: { mediaType, digest: sha256('theirs'), size: 6 }, labels: { mine: '1' } }
    const again = { name: image.digest, target: { mediaType, digest, size }, labels: { theirs: '1' } }
    await daemon.call('create', ({ images }, options) => images.create({ image: had }, options))
    gate.before = at('Images/Update', 1, async () => {
      await daemon.call('delete', ({ images }, options) => images.delete({ name: image.digest, sync: false }, options))
      await daemon.call('create', ({ images }, options) => images.create({ image: again }, options))
      await containerd.ctr(['snapshots', '--snapshotter', 'overlayfs', 'rm', top], { signal })
    })
    await failureIn(pull(store, { signal }))
    const { images } = await daemon.call('list', (c, options) => c.images.list({}, options))
    const found = new Map(images.map((record) => [record.name, record]))
    for (const { name, target } of [had, again]) expect(found.get(name)).toMatchObject({ target })
    expect(found.get(tag)?.labels).toEqual(had.labels)
    expect(found.get(image.digest)?.labels).toMatchObject(again.labels)
  })

  test.for(['alone', 'after the other'] as const)(
    'two tags of one image, and %s the first is given up',
    async (when, { signal }) => {
      await using node = await startNode({ signal })
      const { store, gate, left } = node
      const asked = new Set<string>()
      const known = Promise.withResolvers<void>()
      gate.before = ({ method }) => {
        if (method === 'Images/List') asked.add(method)
        return method === 'ImageService/ImageStatus' ? known.promise : undefined
      }
      const [one, other] = [new AbortController(), new AbortController()]
      await using lease = store.lease()
      await lease.retain(store.layerIds(image.config.diffIds))
      await commitChain(
        store,
        layers.map((name) => ({ name })),
      )
      const first = failureIn(store.publish(image, { signal: one.signal }))
      const second = store.publish({ ...image, tag: 'registry.test/app:2' }, { signal: other.signal })
      const ended = second.then(
        () => 'landed',
        () => 'given up',
      )
      await expect.poll(async () => (await left()).images, { timeout: 20_000 }).toHaveLength(3)
      if (when === 'after the other') {
        other.abort()
        expect(await ended).toBe('given up')
      }
      one.abort()
      await first
      known.resolve()
      expect(await ended).toBe(when === 'alone' ? 'landed' : 'given up')
      expect((await left()).images).toEqual(when === 'alone' ? ['registry.test/app:2', image.digest] : [])
    },
  )

  test('a layer of an image is removed, and comes again with the next pull', async ({ signal }) => {
    await using node = await startNode({ signal })
    const { store, containerd } = node
    await pull(store, { signal })
    const top = store.layerIds(image.config.diffIds)[1]
    if (top === undefined) throw new Error('the image has two layers')
    // Where it lay is known from now on.
    expect(await store.layer(top)).toBeDefined()
    await containerd.ctr(['snapshots', '--snapshotter', 'overlayfs', 'rm', `sha256:${top}`], { signal })
    expect(await store.layer(top)).toBeUndefined()
    expect(await pull(store, { signal })).toBe(image.id)
    await isWhole(node)
  })
})
