/** `pin`, `unpin`, `why` and `gc`, through a daemon and without one, over a store on disk. */
import { mkdtempDisposableSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createControlService } from '../../src/control/control-service.ts'
import { createImageService } from '../../src/cri/image-service.ts'
import { type Disk, measureDisk } from '../../src/gc/disk.ts'
import { createCollector } from '../../src/gc/gc.ts'
import { openLocalStore } from '../../src/store/local/local.ts'
import { mountOverlay, unmount } from '../../src/sys/mount.ts'
import { housekeeperOver, startDaemon, testServices } from '../rpc/daemon.ts'
import { drivenPuller, noHistory, noLooker, noVerifier } from '../rpc/parts.ts'
import { commitLayer, pullByHand } from '../store/fixtures.ts'
import { temporaryRoot } from '../store/local/place.ts'
import { depsWith, windlass } from './terminal.ts'

const { signal } = new AbortController()
const log = { info: () => {}, warn: () => {} }

/** However much is free: less than what is asked for, by less than an image takes up. */
const tight = async (path: string): Promise<Disk> => ({ ...(await measureDisk(path)), availableBytes: 1_000 })

async function remote() {
  await using stack = new AsyncDisposableStack()
  const place = stack.use(temporaryRoot())
  const store = stack.use(await openLocalStore({ root: place.root }, { signal }))
  const { puller } = drivenPuller()
  const collector = createCollector(store)
  const node = {
    puller,
    store,
    collector,
    housekeeper: housekeeperOver(store, collector, tight),
    looker: noLooker,
    history: noHistory,
    verifier: noVerifier,
  }
  const platform = { os: 'linux', architecture: 'amd64' }
  const daemon = stack.use(
    await startDaemon({
      ...testServices().services,
      image: createImageService({ ...node, log }),
      windlass: createControlService({ node: () => node, log, root: place.root, platform, version: '1.2.3' }),
    }),
  )
  const held = stack.move()
  const call = (...args: string[]) => windlass(['--socket', daemon.path, ...args], depsWith())
  return { store, call, client: daemon.client, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

async function embedded() {
  await using stack = new AsyncDisposableStack()
  const place = stack.use(temporaryRoot())
  const store = stack.use(await openLocalStore({ root: place.root }, { signal }))
  const { puller } = drivenPuller()
  const collector = createCollector(store)
  const housekeeper = housekeeperOver(store, collector, tight)
  const openEmbedded = async () => ({
    puller,
    store,
    collector,
    housekeeper,
    looker: noLooker,
    history: noHistory,
    verifier: noVerifier,
    [Symbol.asyncDispose]: async () => {},
  })
  const held = stack.move()
  const call = (...args: string[]) => windlass(['--root', place.root, ...args], depsWith({ openEmbedded }))
  return { store, call, client: undefined, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

describe.each([
  ['through a daemon', remote],
  ['without one', embedded],
] as const)('%s', (_how, open) => {
  test('a pin is set, shown, seen through CRI, and taken back', async () => {
    await using here = await open()
    const id = await pullByHand(here.store, ['base'], { tag: 'r.test/app:1' })
    const pinned = await here.call('pin', '--owner', 'ci', '--reason', 'every job', '--ttl', '72h', 'r.test/app:1')
    expect(pinned).toEqual({
      code: 0,
      stderr: '',
      stdout: expect.stringMatching(/^pinned sha256:\w{64} for ci until \d{4}-.*Z\n$/),
    })
    expect((await here.call('inspect', id)).stdout).toMatch(/^Pinned +by ci until .*: every job$/m)
    expect((await here.call('images')).stdout).toContain('(pinned)')
    expect((await here.client?.image.listImages({}, { signal }))?.images[0]?.pinned ?? true).toBe(true)
    const json = JSON.parse((await here.call('-o', 'json', 'inspect', id)).stdout)
    expect(json.pins).toMatchObject([{ owner: 'ci', reason: 'every job', until: expect.stringContaining('T') }])
    expect(await here.call('unpin', 'r.test/app:1')).toMatchObject({
      code: 0,
      stdout: `unpinned ${id} for ci until ${json.pins[0].until}\n`,
    })
    expect(await here.call('unpin', 'r.test/app:1')).toMatchObject({ code: 0, stdout: `${id} has no pin to take back\n` })
    await here.call('pin', 'r.test/app:1')
    expect(await here.call('unpin', '--owner', 'nobody', 'r.test/app:1')).toMatchObject({
      code: 0,
      stdout: `${id} has no pin of owner nobody\nstill pinned for operator\n`,
    })
    await here.call('unpin', 'r.test/app:1')
    expect((await here.call('images')).stdout).not.toContain('(pinned)')
  })

  test('why says what holds a thing, and what nothing holds', async () => {
    await using here = await open()
    const id = await pullByHand(here.store, ['base'], { tag: 'r.test/app:1' })
    const loose = await commitLayer(here.store, { name: 'loose' })
    expect((await here.call('why', 'r.test/app:1')).stdout).toContain(`image ${id}\n  named r.test/app:1\n`)
    expect(await here.call('why', loose.id.slice(0, 12))).toMatchObject({
      code: 0,
      stdout: `layer ${loose.id}\n  diffID ${loose.diffId}\n  nothing holds it: the next collection removes it\n`,
    })
    const [thing] = JSON.parse((await here.call('-o', 'json', 'why', id)).stdout)
    expect(thing).toMatchObject({ kind: 'image', holds: [{ kind: 'name', detail: 'r.test/app:1' }, { kind: 'name' }] })
    expect(await here.call('why', 'r.test/none:1')).toMatchObject({ code: 1, stderr: expect.stringContaining('not here') })
  })

  test('gc says what would go and why the rest stays, then does it', async () => {
    await using here = await open()
    await pullByHand(here.store, ['base'], { tag: 'r.test/app:1' })
    await pullByHand(here.store, ['top'], { tag: 'r.test/kept:1' })
    await here.call('pin', 'r.test/kept:1')
    const dry = await here.call('gc', '--dry-run', '--free', '2k')
    expect(dry).toMatchObject({ code: 0, stderr: '' })
    expect(dry.stdout).toMatch(/^would remove r\.test\/app:1 \(\w{12}\), used [\d.]+ m?s ago, for asked: [\d.]+ kB$/m)
    expect(dry.stdout).toMatch(/^keeps r\.test\/kept:1 \(\w{12}\): pinned, by operator$/m)
    expect(dry.stdout).toMatch(/^would remove 1 image, 1 layer, [\d.]+ kB\n.*: \d+ % used, .* free\n$/m)
    expect(await here.store.images()).toHaveLength(2)
    const done = JSON.parse((await here.call('-o', 'json', 'gc', '--free', '2k')).stdout)
    expect(done).toMatchObject({ images: [{ names: ['r.test/app:1', expect.any(String)], reason: 'asked' }], layers: 1 })
    expect((await here.store.images()).map(({ tags }) => tags)).toEqual([['r.test/kept:1']])
    expect((await here.call('gc')).stdout).toMatch(/^removed 0 images, 0 layers, 0 B$/m)
  })

  test.skipIf(process.getuid?.() !== 0)('rmi and gc --dry-run tell the layers that stay, and what holds each', async () => {
    await using here = await open()
    const id = await pullByHand(here.store, ['base'], { tag: 'r.test/app:1' })
    const [layerId] = (await here.store.find(id))?.layerIds ?? []
    const layer = layerId === undefined ? undefined : await here.store.layer(layerId)
    using place = mkdtempDisposableSync(join(tmpdir(), 'windlass-keep-'))
    mountOverlay({ target: place.path, base: here.store.overlayDir, lower: layer === undefined ? [] : [layer.short] })
    try {
      expect(await here.call('rmi', 'r.test/app:1')).toMatchObject({
        code: 0,
        stdout: expect.stringContaining(
          `kept     1 layer: in use, until that has ended\n         ${layerId?.slice(0, 12)} in use: mounted at ${place.path}\n`,
        ),
      })
      const dry = await here.call('gc', '--dry-run')
      expect(dry.stdout).toContain(`keeps layer ${layerId?.slice(0, 12)} in use: mounted at ${place.path}\n`)
      await pullByHand(here.store, ['base'], { tag: 'r.test/app:1' })
      const [removal] = JSON.parse((await here.call('-o', 'json', 'rmi', 'r.test/app:1')).stdout)
      expect(removal).toMatchObject({
        layersKept: 1,
        kept: [{ digest: layerId, holds: [{ kind: 'mount', detail: `mounted at ${place.path}` }] }],
      })
      const { keptLayers } = JSON.parse((await here.call('-o', 'json', 'gc', '--dry-run')).stdout)
      expect(keptLayers).toMatchObject([{ kind: 'layer', digest: layerId }])
    } finally {
      unmount(place.path)
    }
  })

  test.each([
    [['pin', '--ttl', 'soon', 'r.test/app:1'], 'want a duration such as 72h'],
    [['pin', '--owner', 'configuration', 'r.test/app:1'], 'want a name of your own'],
    [['unpin', '--owner', 'configuration', 'r.test/app:1'], 'change pins: in its file'],
    [['gc', '--free', 'much'], 'want a size such as 10Gi'],
    [['pin', 'r.test/none:1'], 'is not here'],
  ])('%s is refused', async (args, text) => {
    await using here = await open()
    await pullByHand(here.store, ['base'], { tag: 'r.test/app:1' })
    const { code, stderr } = await here.call(...args)
    expect(code).toBeGreaterThan(0)
    expect(stderr).toContain(text)
  })
})
