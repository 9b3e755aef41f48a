/** Blobs on their way into containerd's content store that do not get there: a clean failure, and nothing of them left. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { failureOf } from '../../../src/failure/failure.ts'
import { sha256 } from '../../../src/oci/digest.ts'
import { createPuller } from '../../../src/pull/puller.ts'
import { parseReference } from '../../../src/reference/parse.ts'
import { createRegistry } from '../../../src/registry/client.ts'
import { openContainerdStore } from '../../../src/store/containerd/containerd.ts'
import { Daemon } from '../../../src/store/containerd/daemon.ts'
import { createUnpacker } from '../../../src/unpack/pool.ts'
import { startContainerd } from '../../integration/containerd.ts'
import { lacking } from '../../integration/lacking.ts'
import { startRegistry } from '../../registry/embedded-registry.ts'
import { boundless } from '../../support/boundless.ts'
import { buildImage, publish } from '../../support/image.ts'
import { limits } from '../../unpack/lab.ts'
import { recordingLog } from '../local/place.ts'
import { openGate } from './gate.ts'

const platform = { os: 'linux', architecture: 'amd64' }
const image = buildImage({ platform, layers: [{ tar: [{ name: 'noise', content: randomBytes(8 * 2 ** 20) }] }] })
const [layer] = image.layers
if (layer === undefined) throw new Error('the image has a layer')
const blob = layer.descriptor.digest
const other = buildImage({ platform, layers: [{ tar: [{ name: 'other', content: 'other' }] }] })
/** Names the first one's blob for a layer that the second one has brought. */
const lying = buildImage({
  platform,
  layers: other.layers,
  manifest: { layers: [layer.descriptor] },
})

/** A puller that keeps blobs, with a registry that has one image, and a gate before containerd. */
async function startKeeping({ signal }: { readonly signal: AbortSignal }) {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await mkdtempDisposable(join(tmpdir(), 'windlass-keep-')))
  const containerd = stack.use(await startContainerd(join(path, 'containerd'), { signal }))
  const gate = stack.use(await openGate(join(path, 'gate.sock'), containerd.socket))
  const options = { root: join(path, 'root'), socket: gate.socket, platform, log: recordingLog(), keepBlobs: true }
  const store = stack.use(await openContainerdStore(options, { signal }))
  const unpacker = stack.use(
    createUnpacker({ workers: 1, limits, staging: store.stagingDir, layers: store.landedDir, warn: () => {} }),
  )
  const client = stack.use(createRegistry({ hostsDir: '/none', userAgent: 'test', progressTimeoutMs: 10_000 }))
  const registry = stack.use(await startRegistry())
  publish(registry, 'test/noise', '1', image)
  publish(registry, 'test/other', '1', other)
  publish(registry, 'test/lying', '1', lying)
  const puller = createPuller({ registry: client, store, unpacker, platform, maxParallelPulls: 4, room: boundless })
  stack.defer(() => puller.close())
  const held = stack.move()
  return {
    gate,
    containerd,
    /** As the daemon's shutdown does. */
    stop: () => puller.close(),
    pull: async (given: AbortSignal, name = 'noise'): Promise<string> => {
      const reference = parseReference(`${registry.host}/test/${name}:1`)
      return (await puller.pull({ reference, credentials: { kind: 'anonymous' }, client: 'cri' }, { signal: given })).image.id
    },
    /** The diffID that containerd has on record for a blob. */
    uncompressed: async (digest: string): Promise<string | undefined> => {
      const listed = (await containerd.ctr(['content', 'ls'], { signal })).split('\n').find((line) => line.startsWith(digest))
      return /containerd\.io\/uncompressed=(sha256:[0-9a-f]{64})/.exec(listed ?? '')?.[1]
    },
    /** After a whole collection; writes that have not ended count. */
    content: async (): Promise<readonly string[]> => {
      await containerd.ctr(['leases', 'create', '--id', 'now'], { signal })
      await containerd.ctr(['leases', 'rm', '--sync', 'now'], { signal })
      const [whole, begun] = [
        ['content', 'ls', '-q'],
        ['content', 'active'],
      ].map((args) => containerd.ctr(args, { signal }))
      const active = ((await begun) ?? '').split('\n').filter((line) => line.startsWith('windlass-'))
      return [...((await whole) ?? '').split('\n').filter(Boolean).toSorted(), ...active]
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

const failureIn = async (work: Promise<unknown>) =>
  failureOf(
    await work.then(
      () => expect.fail('it succeeded'),
      (error: unknown) => error,
    ),
  )

const whole = [blob, image.id, image.descriptor.digest].toSorted()

describe.skipIf(lacking('root', 'containerd'))('a blob that is to be kept', () => {
  test('a pull is given up while containerd does not take it', async ({ signal }) => {
    await using node = await startKeeping({ signal })
    const { gate, pull, content } = node
    const [held, stopped, given] = [Promise.withResolvers<void>(), new EventTarget(), new AbortController()]
    const asked = once(stopped, 'asked', { signal })
    gate.before = ({ method }) => {
      if (method !== 'Content/Write') return
      stopped.dispatchEvent(new Event('asked'))
      return held.promise
    }
    const pulling = failureIn(pull(given.signal))
    await asked
    given.abort()
    expect(await pulling).toMatchObject({ kind: 'cancelled' })
    held.resolve()
    gate.before = () => {}
    expect(await content()).toEqual([])
    expect(await pull(signal)).toBe(image.id)
    expect(await content()).toEqual(whole)
  })

  // Its own lease comes after the pull's; a small one goes with its commit alone.
  test.for([
    ['Leases/Create', 1],
    ['Leases/AddResource', 1],
    ['Content/Info', 1],
    ['Leases/Create', 2],
    ['Content/Write', 1],
    ['Leases/AddResource', 2],
  ] as const)('a pull is given up while containerd does not answer %s, time %i', async ([method, nth], { signal }) => {
    await using node = await startKeeping({ signal })
    const { gate, pull, stop, content } = node
    const [held, asked, given] = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), new AbortController()]
    let seen = 0
    gate.before = (call) => {
      if (call.method !== method || ++seen !== nth) return
      asked.resolve()
      return held.promise
    }
    const pulling = failureIn(pull(given.signal, 'other'))
    await asked.promise
    given.abort()
    expect(await pulling).toMatchObject({ kind: 'cancelled' })
    // Nothing of it runs any more that could be waiting.
    await stop()
    held.resolve()
    // What was made all the same is given back without anybody's doing.
    await expect.poll(content, { timeout: 5_000 }).toEqual([])
  })

  test('a containerd that stands still keeps nobody from leaving', async ({ signal }) => {
    await using node = await startKeeping({ signal })
    const { gate, containerd, pull, stop } = node
    const asked = Promise.withResolvers<void>()
    gate.before = ({ method }) => {
      if (method !== 'Content/Write') return
      process.kill(containerd.daemon.pid, 'SIGSTOP')
      asked.resolve()
    }
    const pulling = failureIn(pull(signal))
    await asked.promise
    await stop()
    process.kill(containerd.daemon.pid, 'SIGCONT')
    expect(await pulling).toMatchObject({ kind: 'cancelled', reason: 'shutdown' })
  })

  test('somebody else writes it before it is all there', async ({ signal }) => {
    await using node = await startKeeping({ signal })
    const { gate, containerd, pull, content, uncompressed } = node
    using daemon = new Daemon(containerd.socket)
    await daemon.call('create a lease', ({ leases }, options) => leases.create({ id: 'here' }, options))
    gate.before = async ({ method }) => {
      if (method !== 'Content/Write') return
      gate.before = () => {}
      using writing = daemon.writing({ ref: 'theirs', digest: blob, size: layer.blob.length }, 'here', { signal })
      await writing.write(layer.blob)
      await writing.commit()
    }
    expect(await pull(signal)).toBe(image.id)
    await containerd.ctr(['leases', 'rm', 'here'], { signal })
    expect(await content()).toEqual(whole)
    expect(await uncompressed(blob)).toBe(layer.diffId)
  })

  test('containerd is killed while it takes it', async ({ signal }) => {
    await using node = await startKeeping({ signal })
    const { gate, containerd, pull, content } = node
    let crash: Promise<void> | undefined
    gate.before = ({ method }) => {
      if (method !== 'Content/Write' || crash !== undefined) return
      crash = containerd.crash({ signal })
      return crash
    }
    expect(await failureIn(pull(signal))).toMatchObject({ kind: 'runtime-down' })
    await crash
    expect(await content()).toEqual([])
    expect(await pull(signal)).toBe(image.id)
    expect(await content()).toEqual(whole)
  })

  test('a manifest that names it for another layer says nothing of its diffID', async ({ signal }) => {
    await using node = await startKeeping({ signal })
    const { containerd, pull, uncompressed } = node
    await pull(signal)
    expect(await uncompressed(blob)).toBe(layer.diffId)
    await containerd.ctr(['content', 'label', blob, 'containerd.io/uncompressed='], { signal })
    await pull(signal, 'other')
    expect(await pull(signal, 'lying')).toBe(lying.id)
    expect(await uncompressed(blob)).toBeUndefined()
  })

  test('one that is here without a diffID gets it, one that has another keeps that', async ({ signal }) => {
    await using node = await startKeeping({ signal })
    const { containerd, pull, uncompressed } = node
    using daemon = new Daemon(containerd.socket)
    await daemon.call('create a lease', ({ leases }, options) => leases.create({ id: 'here' }, options))
    const [bare, said] = [layer, other.layers[0] ?? expect.fail('the image has a layer')]
    const given = sha256('what somebody has said of it')
    for (const [{ descriptor, blob: bytes }, labels] of [
      [bare, {}],
      [said, { 'containerd.io/uncompressed': given }],
    ] as const) {
      const write = { ref: descriptor.digest, digest: descriptor.digest, bytes, labels }
      await daemon.call('write a blob', (c, options) => c.writeContent(write, options), 'here')
    }
    await pull(signal)
    await pull(signal, 'other')
    expect(await uncompressed(blob)).toBe(layer.diffId)
    expect(await uncompressed(said.descriptor.digest)).toBe(given)
  })

  test('containerd takes nothing more of it', async ({ signal }) => {
    await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-keep-'))
    await using containerd = await startContainerd(temporary.path, { signal })
    await using gate = await openGate(join(temporary.path, 'gate.sock'), containerd.socket)
    using daemon = new Daemon(gate.socket, 1_000)
    await daemon.call('create a lease', ({ leases }, options) => leases.create({ id: 'here' }, options))
    gate.before = ({ method }) => (method === 'Content/Write' ? once(signal, 'abort').then(() => {}) : undefined)
    const bytes = randomBytes(2 ** 20)
    for (const end of ['write', 'commit'] as const) {
      using writing = daemon.writing({ ref: `it-${end}`, digest: sha256(bytes), size: bytes.length }, 'here', { signal })
      const work = async (): Promise<void> => {
        if (end === 'commit') await writing.commit()
        // What is on its way has a limit, so there is a promise some time.
        else for (let full: Promise<void> | undefined; full === undefined; await full) full = writing.write(bytes)
      }
      expect(await failureIn(work())).toMatchObject({ kind: 'runtime', operation: 'keep a blob', code: 'DEADLINE_EXCEEDED' })
    }
  })

  test('whoever writes on while it is full waits for the same room, and hears of the end', async ({ signal }) => {
    await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-keep-'))
    await using containerd = await startContainerd(temporary.path, { signal })
    await using gate = await openGate(join(temporary.path, 'gate.sock'), containerd.socket)
    using daemon = new Daemon(gate.socket)
    await daemon.call('create a lease', ({ leases }, options) => leases.create({ id: 'here' }, options))
    gate.before = ({ method }) => (method === 'Content/Write' ? once(signal, 'abort').then(() => {}) : undefined)
    using warned = vi.spyOn(process, 'emitWarning')
    const bytes = randomBytes(2 ** 20)
    using writing = daemon.writing({ ref: 'it', digest: sha256(bytes), size: 100 * bytes.length }, 'here', { signal })
    const waiting = Array.from({ length: 50 }, () => writing.write(bytes)).filter((full) => full !== undefined)
    expect(waiting.length).toBeGreaterThan(20)
    daemon[Symbol.dispose]()
    for (const each of waiting) expect(await failureIn(each)).toEqual({ kind: 'cancelled', reason: 'shutdown' })
    // Node's for listeners that pile up.
    expect(warned).not.toHaveBeenCalled()
  })
})
