/** containerd and our staging on a disk that is full: at every step an error, nothing half there, and the next pull works. */
import { closeSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { failureOf } from '../../../src/failure/failure.ts'
import { measureDisk } from '../../../src/gc/disk.ts'
import { createPuller } from '../../../src/pull/puller.ts'
import { parseReference } from '../../../src/reference/parse.ts'
import { createRegistry } from '../../../src/registry/client.ts'
import { openContainerdStore } from '../../../src/store/containerd/containerd.ts'
import type { ContainerdStore } from '../../../src/store/containerd/containerd-store.ts'
import { createUnpacker } from '../../../src/unpack/pool.ts'
import { startContainerd } from '../../integration/containerd.ts'
import { lacking } from '../../integration/lacking.ts'
import { eventually } from '../../integration/node.ts'
import { mounted, start } from '../../integration/process.ts'
import { startRegistry } from '../../registry/embedded-registry.ts'
import { boundless } from '../../support/boundless.ts'
import { buildImage, publish } from '../../support/image.ts'
import { limits } from '../../unpack/lab.ts'
import { commitChain, imageOver } from '../fixtures.ts'
import { recordingLog } from '../local/place.ts'
import { openGate } from './gate.ts'

const platform = { os: 'linux', architecture: 'amd64' }

async function smallDisk({ signal }: { readonly signal: AbortSignal }) {
  await using stack = new AsyncDisposableStack()
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'windlass-full-')))
  stack.use(mounted(dir.path, ['-t', 'tmpfs', '-o', 'size=64m,nr_inodes=0', 'tmpfs']))
  const containerd = stack.use(await startContainerd(join(dir.path, 'containerd'), { signal }))
  const gate = stack.use(await openGate(join(dir.path, 'gate.sock'), containerd.socket))
  const store = stack.use(
    await openContainerdStore({ root: join(dir.path, 'root'), socket: gate.socket, platform, log: recordingLog() }, { signal }),
  )
  const ballast = join(dir.path, 'ballast')
  const held = stack.move()
  return {
    store,
    gate,
    path: dir.path,
    /** Not a byte is left. */
    fill: () => {
      const fd = openSync(ballast, 'w')
      try {
        for (let size = 2 ** 20; size >= 1; size = Math.floor(size / 2)) {
          for (let isRoom = true; isRoom; ) {
            try {
              isRoom = writeSync(fd, Buffer.alloc(size, 1)) === size
            } catch {
              isRoom = false
            }
          }
        }
      } finally {
        closeSync(fd)
      }
    },
    free: () => rmSync(ballast),
    snapshots: async () =>
      (await containerd.ctr(['snapshots', '--snapshotter', 'overlayfs', 'ls'], { signal }))
        .split('\n')
        .filter((line) => line.startsWith('sha256:')),
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

async function committed(store: ContainerdStore, names: readonly string[]) {
  const image = imageOver(names, { tag: 'registry.test/app:1' })
  const lease = store.lease()
  await lease.retain(store.layerIds(image.config.diffIds))
  await commitChain(
    store,
    names.map((name) => ({ name })),
  )
  return { image, lease }
}

describe.skipIf(lacking('root', 'containerd'))('on a full disk', () => {
  test('landing fails whole, and succeeds once there is room', async ({ signal }) => {
    await using disk = await smallDisk({ signal })
    const { store } = disk
    const { image, lease } = await committed(store, ['base', 'top'])
    await using _lease = lease
    disk.fill()
    expect(await failureIn(store.publish(image, { signal }))).toMatchObject({ kind: 'no-space' })
    disk.free()
    expect(await store.images()).toEqual([])
    // A layer that was being committed is given up with those above it: nobody can say what of it is there.
    await using again = (await committed(store, ['base', 'top'])).lease
    expect((await store.publish(image, { signal })).image.id).toBe(image.id)
    expect(await disk.snapshots()).toHaveLength(2)
    await again[Symbol.asyncDispose]()
  })

  test.for(['Snapshots/Prepare', 'Snapshots/Commit', 'Content/Write', 'Images/Create'])(
    'it is full from %s on',
    async (method, { signal }) => {
      await using disk = await smallDisk({ signal })
      const { store, gate } = disk
      const { image, lease } = await committed(store, ['base', 'top'])
      await using _lease = lease
      let filled = 0
      gate.before = (call) => {
        if (call.method !== method) return
        filled++
        disk.fill()
      }
      // containerd's database has free pages of its own: what fits in there succeeds, and is whole.
      const outcome = await store.publish(image, { signal }).then(
        () => undefined,
        (error: unknown) => failureOf(error),
      )
      expect(filled).toBeGreaterThan(0)
      if (outcome !== undefined)
        expect(outcome).toMatchObject({ kind: 'no-space', code: 'ENOSPC', path: expect.stringMatching(disk.path) })
      else expect(method).not.toBe('Content/Write')
      gate.before = () => {}
      disk.free()
      expect((await store.images()).map(({ id }) => id)).toEqual(outcome === undefined ? [image.id] : [])
      await using again = (await committed(store, ['base', 'top'])).lease
      expect((await store.publish(image, { signal })).image.id).toBe(image.id)
      expect(await disk.snapshots()).toHaveLength(2)
      await again[Symbol.asyncDispose]()
    },
  )

  test.skipIf(lacking('strace'))('a sync that fails takes all that was staged with it', async ({ signal }) => {
    await using disk = await smallDisk({ signal })
    const { store } = disk
    const { image, lease } = await committed(store, ['base', 'top'])
    await using _lease = lease
    {
      // tmpfs has nothing to sync that could fail, so the kernel's answer is another one.
      const inject = 'inject=syncfs:error=ENOSPC'
      await using strace = start('strace', ['-f', '-p', String(process.pid), '-e', 'trace=syncfs', '-e', inject])
      await strace.line(/attached/, { signal })
      expect(await failureIn(store.publish(image, { signal }))).toMatchObject({ kind: 'no-space', code: 'ENOSPC' })
    }
    expect(await store.images()).toEqual([])
    expect(await disk.snapshots()).toEqual([])
    // None of it is ever published, although the next sync succeeds: what it lost it does not tell again (fsync(2)).
    expect(await failureIn(store.publish(image, { signal }))).toMatchObject({ kind: 'no-space' })
    expect(readdirSync(store.landedDir)).toEqual([])
    await using again = (await committed(store, ['base', 'top'])).lease
    expect((await store.publish(image, { signal })).image.id).toBe(image.id)
    await again[Symbol.asyncDispose]()
  })

  test('unpacking fails whole and gives the room back', async ({ signal }) => {
    await using disk = await smallDisk({ signal })
    const { store } = disk
    await using registry = await startRegistry()
    // It compresses so well that nobody would expect it to take up this much.
    const large = buildImage({ platform, layers: [{ tar: [{ name: 'zeros', content: Buffer.alloc(100 * 2 ** 20) }] }] })
    const small = buildImage({ platform, layers: [{ tar: [{ name: 'small', content: 'small' }] }] })
    publish(registry, 'test/large', '1', large)
    publish(registry, 'test/small', '1', small)
    await using unpacker = createUnpacker({
      workers: 2,
      limits,
      staging: store.stagingDir,
      layers: store.landedDir,
      warn: () => {},
    })
    await using client = createRegistry({ hostsDir: '/none', userAgent: 'test', progressTimeoutMs: 10_000 })
    const puller = createPuller({ registry: client, store, unpacker, platform, maxParallelPulls: 4, room: boundless })
    const pull = (name: string) =>
      puller.pull(
        { reference: parseReference(`${registry.host}/test/${name}:1`), credentials: { kind: 'anonymous' }, client: 'cri' },
        { signal },
      )
    expect(await failureIn(pull('large'))).toMatchObject({ kind: 'no-space' })
    expect(await store.images()).toEqual([])
    expect(await disk.snapshots()).toEqual([])
    // What was unpacked is unlinked behind the answer.
    await eventually(async () => (await measureDisk(disk.path)).availableBytes > 50 * 2 ** 20, { signal })
    expect((await pull('small')).image.id).toBe(small.id)
    disk.fill()
    expect(await failureIn(pull('large'))).toMatchObject({ kind: 'no-space' })
    expect((await store.images()).map(({ id }) => id)).toEqual([small.id])
    disk.free()
    expect(await disk.snapshots()).toHaveLength(1)
    await puller.close()
  })
})
