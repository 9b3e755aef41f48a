/** Tar-splits of what was landed in Debian's containerd: kept with their snapshots, and gone with them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openContainerdStore } from '../../../src/store/containerd/containerd.ts'
import { keepFiles } from '../../../src/store/containerd/keep.ts'
import type { Abortable } from '../../../src/task/task.ts'
import { Disk } from '../../crash/disk.ts'
import { startContainerd } from '../../integration/containerd.ts'
import { lacking } from '../../integration/lacking.ts'
import { mounted } from '../../integration/process.ts'
import { diffIdOf, imageOver, pullByHand } from '../fixtures.ts'
import { recordingLog } from '../local/place.ts'
import { openGate } from './gate.ts'

const platform = { os: 'linux', architecture: 'amd64' }
const [one, two] = ['registry.test/app:1', 'registry.test/app:2']

async function startNode({ signal }: Abortable) {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await mkdtempDisposable(join(tmpdir(), 'windlass-splits-')))
  const containerd = stack.use(await startContainerd(join(path, 'containerd'), { signal }))
  const gate = stack.use(await openGate(join(path, 'gate.sock'), containerd.socket))
  const root = join(path, 'root')
  const held = stack.move()
  return {
    gate,
    root,
    open: async () => {
      const log = recordingLog()
      return { store: await openContainerdStore({ root, socket: gate.socket, platform, log }, { signal }), log }
    },
    kept: (): string[] => readdirSync(join(root, 'tar-splits')).toSorted(),
    collectNow: async () => {
      await containerd.ctr(['leases', 'create', '--id', 'now'], { signal })
      await containerd.ctr(['leases', 'rm', '--sync', 'now'], { signal })
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

describe.skipIf(lacking('root', 'containerd'))('a tar-split', () => {
  test('is there as long as its snapshot is, across restarts', async ({ signal }) => {
    await using node = await startNode({ signal })
    const files = (ids: readonly string[]): string[] => ids.map((id) => `${id}.gz`).toSorted()
    let ids: readonly string[] = []
    {
      const { store } = await node.open()
      await using _open = store
      await pullByHand(store, ['base', 'top'], { tag: one })
      await pullByHand(store, ['base', 'other'], { tag: two })
      ids = [...new Set((await store.images()).flatMap(({ layerIds }) => layerIds))]
      expect(node.kept()).toEqual(files(ids))
      const [base] = store.layerIds([diffIdOf('base')])
      const { tarSplit } = (base === undefined ? undefined : await store.layer(base)) ?? expect.fail('it is not here')
      expect(readFileSync(tarSplit ?? '', 'utf8')).toBe('tar-split of base')
    }
    const { store } = await node.open()
    await using _open = store
    await store.collect()
    await expect.poll(node.kept).toEqual(files(ids))
    await store.untag(one)
    await node.collectNow()
    await store.collect()
    await expect.poll(node.kept).toEqual(files((await store.find(two))?.layerIds ?? []))
    await store.untag(two)
    await node.collectNow()
    await store.collect()
    await expect.poll(node.kept).toEqual([])
  })

  test('that a crash or a failed landing leaves goes with the next collection', async ({ signal }) => {
    await using node = await startNode({ signal })
    mkdirSync(node.root, { mode: 0o700 })
    {
      const { store } = await node.open()
      await using _open = store
      node.gate.before = ({ method }) => {
        if (method === 'Snapshots/Commit') throw new Error('cut')
      }
      await expect(pullByHand(store, ['base'], { tag: one })).rejects.toThrow()
      expect(node.kept()).toHaveLength(1)
      node.gate.before = () => {}
      await store.collect()
      await expect.poll(node.kept).toEqual([])
      await pullByHand(store, ['base'], { tag: one })
    }
    const [kept = ''] = node.kept()
    writeFileSync(join(node.root, 'tar-splits', `${'a'.repeat(64)}.gz`), 'a stray')
    writeFileSync(join(node.root, 'tar-splits', `${'b'.repeat(64)}.gz.new`), 'half written')
    const { store } = await node.open()
    await using _open = store
    expect(node.kept()).toEqual([kept, `${'a'.repeat(64)}.gz`].toSorted())
    await store.collect()
    await expect.poll(node.kept).toEqual([kept])
  })

  test('that cannot be kept costs no pull', async ({ signal }) => {
    await using node = await startNode({ signal })
    const { store, log } = await node.open()
    await using _open = store
    rmSync(join(node.root, 'tar-splits'), { recursive: true })
    const id = await pullByHand(store, ['base'], { tag: one })
    const image = await store.find(id)
    const [layer] = await Promise.all((image?.layerIds ?? []).map((each) => store.layer(each)))
    expect(layer).toMatchObject({ unverifiable: 'its tar-split is not kept here' })
    expect(log.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', message: expect.stringContaining('the tar-split of this layer is not kept') }),
    )
  })

  test('is not swept while its layer becomes a snapshot, and a collection does not wait for that', async ({ signal }) => {
    await using node = await startNode({ signal })
    mkdirSync(join(node.root, 'tar-splits'), { recursive: true, mode: 0o700 })
    writeFileSync(join(node.root, 'windlass.lock'), '')
    writeFileSync(join(node.root, 'tar-splits', `${'a'.repeat(64)}.gz`), 'a stray')
    const { store } = await node.open()
    await using _open = store
    let collected = false
    node.gate.before = async ({ method }) => {
      if (method !== 'Snapshots/Prepare') return
      await store.collect()
      collected = true
    }
    const image = imageOver(['base'], { tag: one })
    await pullByHand(store, ['base'], { tag: one })
    expect(collected).toBe(true)
    // The sweep takes the stray, once it has its turn.
    await expect.poll(node.kept).toEqual(store.layerIds(image.config.diffIds).map((id) => `${id}.gz`))
  })
})

describe.skipIf(lacking('root'))('files are kept', () => {
  test('whole or not at all, as far as there is room', async () => {
    await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-keep-'))
    const dir = temporary.path
    using _tmpfs = mounted(dir, ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs'])
    const [small, large] = [join(dir, 'small'), join(dir, 'large')]
    writeFileSync(small, 'small')
    writeFileSync(large, Buffer.alloc(40_000))
    const order = { dir, isSynced: true, files: [small, large].map((from) => ({ from, to: `${from}.kept` })) }
    expect(keepFiles({ ...order, room: 10 })).toEqual([5, expect.objectContaining({ kind: 'no-space', code: 'EDQUOT' })])
    expect(keepFiles({ ...order, room: 1e6 })).toEqual([5, expect.objectContaining({ kind: 'no-space', code: 'ENOSPC' })])
    expect(readFileSync(`${small}.kept`, 'utf8')).toBe('small')
    expect(readdirSync(dir).toSorted()).toEqual(['large', 'small', 'small.kept'])
  })

  test.skipIf(!existsSync('/sbin/mkfs.ext4') || !existsSync('/dev/loop-control'))(
    'through a power cut, where no other sync sees to it',
    async () => {
      using disk = new Disk('64M')
      await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-keep-'))
      const from = temporary.path
      const bytes = Buffer.alloc(100_000, 7)
      writeFileSync(join(from, 'split'), bytes)
      const keep = (name: string, isSynced: boolean): unknown =>
        keepFiles({ files: [{ from: join(from, 'split'), to: join(disk.dir, name) }], dir: disk.dir, isSynced, room: 1e6 })
      expect(keep('synced', true)).toEqual([100_000])
      expect(keep('not', false)).toEqual([100_000])
      disk.cut()
      await disk.powerOn({ signal: AbortSignal.timeout(20_000) })
      expect(readFileSync(join(disk.dir, 'synced')).equals(bytes)).toBe(true)
      // The cut was one.
      const path = join(disk.dir, 'not')
      expect(existsSync(path) && readFileSync(path).equals(bytes)).toBe(false)
    },
  )
})
