/** Pins on containerd's records, whose they are, and what is done for images in use. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Digest, sha256 } from '../../../src/oci/digest.ts'
import { isShownPinned } from '../../../src/rpc/known.ts'
import { Catalog } from '../../../src/store/containerd/catalog.ts'
import { openContainerdStore } from '../../../src/store/containerd/containerd.ts'
import type { ContainerdStore } from '../../../src/store/containerd/containerd-store.ts'
import { Daemon } from '../../../src/store/containerd/daemon.ts'
import { RecordExpiries } from '../../../src/store/containerd/expiries.ts'
import { gc } from '../../../src/store/containerd/names.ts'
import { Names } from '../../../src/store/containerd/naming.ts'
import { pinsIn } from '../../../src/store/containerd/pin-labels.ts'
import { RecordPins } from '../../../src/store/containerd/pins.ts'
import { Upkeep } from '../../../src/store/containerd/upkeep.ts'
import { type Containerd, startContainerd } from '../../integration/containerd.ts'
import { lacking } from '../../integration/lacking.ts'
import { mounted } from '../../integration/process.ts'
import { pullByHand } from '../fixtures.ts'
import { recordingLog } from '../local/place.ts'

const { signal } = new AbortController()
const HOUR = 3_600_000
const PLUGINS = 'io.cri-containerd.pinned'

describe.skipIf(lacking('root', 'containerd'))('a pin in containerd', () => {
  const open = new AsyncDisposableStack()
  let containerd: Containerd
  let daemon: Daemon
  let store: ContainerdStore
  beforeAll(async () => {
    const dir = await mkdtemp(join(tmpdir(), 'windlass-pins-'))
    open.defer(() => rm(dir, { recursive: true, force: true }))
    open.use(mounted(dir, ['-t', 'tmpfs', 'tmpfs']))
    containerd = open.use(await startContainerd(join(dir, 'containerd'), { signal }))
    daemon = open.use(new Daemon(containerd.socket))
    const options = { root: join(dir, 'root'), socket: containerd.socket, platform, log: recordingLog() }
    store = open.use(await openContainerdStore(options, { signal }))
  })
  afterAll(() => open.disposeAsync())

  const platform = { os: 'linux', architecture: 'amd64' }
  const upkeepParts = () => {
    const [catalog, names] = [new Catalog(daemon, platform), new Names(daemon)]
    const expiries = new RecordExpiries(catalog, names)
    return { daemon, catalog, expiries, pins: new RecordPins(catalog, names, expiries), log: recordingLog() }
  }
  let made = 0
  const pull = async () => {
    const tag = `registry.test/pinned${made++}:1`
    return { tag, id: await pullByHand(store, ['base'], { tag, label: tag }) }
  }
  /** The labels of each record of an image, of the CRI plugin's too. */
  const labelsOf = async (at: { readonly tag: string; readonly id: Digest }) => {
    const { images } = await daemon.call('list', (c, call) => c.images.list({}, call))
    const repository = at.tag.slice(0, at.tag.lastIndexOf(':'))
    return images.filter(({ name }) => name.startsWith(repository) || name === at.id).map(({ labels }) => labels)
  }
  const marksOf = async (at: { readonly tag: string; readonly id: Digest }) =>
    new Set((await labelsOf(at)).map((labels) => labels[PLUGINS]))
  const since = new Date(1_700_000_000_000)
  const pin = (owner: string, until?: Date) => ({ owner, reason: 'why', since, ...(until === undefined ? {} : { until }) })

  test('is on every record until the last owner takes it back', async () => {
    const at = await pull()
    expect(await store.pin(at.id, pin('prepull:base'))).toBe(true)
    expect(await store.pin(at.id, pin('ci'))).toBe(true)
    expect(await marksOf(at)).toEqual(new Set(['pinned']))
    expect((await store.find(at.tag))?.pins).toEqual([pin('ci'), pin('prepull:base')])
    expect(await store.unpin(at.id, 'prepull:base')).toEqual([pin('prepull:base')])
    expect(await marksOf(at)).toEqual(new Set(['pinned']))
    await store.unpin(at.id)
    expect((await labelsOf(at)).flatMap((labels) => Object.keys(labels)).filter((label) => /pin/.test(label))).toEqual([])
    expect((await store.find(at.tag))?.pins).toEqual([])
    expect(await store.pin(sha256('nothing'), pin('ci'))).toBe(false)
  })

  test('leaves the mark that somebody else had set', async () => {
    const at = await pull()
    await containerd.ctr(['images', 'label', at.tag, `${PLUGINS}=pinned`], { signal })
    await store.pin(at.id, pin('ci'))
    expect((await store.find(at.tag))?.pins.map(({ owner }) => owner)).toEqual(['containerd', 'ci'])
    await store.unpin(at.id, 'ci')
    expect((await store.find(at.tag))?.pins.map(({ owner }) => owner)).toEqual(['containerd'])
  })

  test('takes the time of an image away, or lengthens it', async () => {
    const at = await pull()
    const expiries = store.expiries ?? expect.fail()
    const other = await pull()
    for (const { id, tag } of [at, other]) {
      await store.remove(id)
      using ahead = await expiries.begin()
      await ahead.give(await pullByHand(store, ['base'], { tag, label: tag }), new Date(Date.now() + HOUR))
    }
    await store.pin(at.id, pin('ci'))
    const times = (await labelsOf(at)).map((labels) => labels[gc.expire])
    expect(new Set(times)).toEqual(new Set([undefined]))
    const until = new Date(Date.now() + 3 * HOUR)
    await store.pin(other.id, pin('ci', until))
    expect(new Set((await labelsOf(other)).map((labels) => labels[gc.expire]))).toEqual(new Set([until.toISOString()]))
  })

  test('goes when its time is over', async () => {
    const at = await pull()
    await store.pin(at.id, pin('ci', new Date(Date.now() - 1)))
    expect((await store.find(at.tag))?.pins).toEqual([])
    await using upkeep = new Upkeep(upkeepParts())
    await upkeep.round()
    expect(await marksOf(at)).toEqual(new Set([undefined]))
  })

  test('is shown by a containerd that shows pins, since 1.7', async () => {
    const at = await pull()
    const { runtimeVersion } = await containerd.cri.runtime.version({}, { signal })
    const isShown = () => isShownPinned(containerd.cri, at.id, { runtime: 'containerd', socket: containerd.socket }, true)
    expect(await isShown()).toBe(false)
    await store.pin(at.id, pin('prepull:base'))
    expect(await isShown()).toBe(!/^v?1\.[0-6]\./.test(runtimeVersion))
    await store.unpin(at.id)
    await expect.poll(isShown).toBe(false)
  })

  test('an image that a container stands on does not go by its time, another does', async () => {
    const [used, idle] = [await pull(), await pull()]
    const expiries = store.expiries ?? expect.fail()
    for (const { id, tag } of [used, idle]) {
      await store.remove(id)
      using ahead = await expiries.begin()
      await ahead.give(await pullByHand(store, ['base'], { tag, label: tag }), new Date(Date.now() + HOUR))
    }
    await containerd.ctr(['containers', 'create', used.tag, 'stands-on-it'], { signal })
    await using upkeep = new Upkeep(upkeepParts())
    await upkeep.round()
    const leftOf = async (at: typeof used): Promise<number> => Date.parse((await labelsOf(at))[0]?.[gc.expire] ?? '') - Date.now()
    expect(await leftOf(used)).toBeGreaterThan(23 * HOUR)
    expect(await leftOf(idle)).toBeLessThan(HOUR)
    await containerd.ctr(['containers', 'delete', 'stands-on-it'], { signal })
  })
})

test('a label that is no pin of ours is nobody’s', () => {
  expect(pinsIn({ 'windlass.dev/pin.x': 'nonsense', 'windlass.dev/pin.y': '{"reason":1}' })).toEqual({ pins: [], others: false })
})
