/** Times to live on containerd's records: which images get one, and which lose it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Digest } from '../../../src/oci/digest.ts'
import { openContainerdStore } from '../../../src/store/containerd/containerd.ts'
import { Daemon } from '../../../src/store/containerd/daemon.ts'
import { gc } from '../../../src/store/containerd/names.ts'
import type { Expiries } from '../../../src/store/expiry.ts'
import type { Store } from '../../../src/store/store.ts'
import { type Containerd, startContainerd } from '../../integration/containerd.ts'
import { lacking } from '../../integration/lacking.ts'
import { imageOver, pullByHand } from '../fixtures.ts'
import { recordingLog } from '../local/place.ts'
import { type Gate, openGate } from './gate.ts'

const { signal } = new AbortController()
const HOUR = 3_600_000
const inHours = (hours: number): Date => new Date(Date.now() + hours * HOUR)

describe.skipIf(lacking('root', 'containerd'))('an image’s time', () => {
  const open = new AsyncDisposableStack()
  let dir: string
  let containerd: Containerd
  let daemon: Daemon
  let gate: Gate
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'windlass-expiries-'))
    open.defer(() => rm(dir, { recursive: true, force: true }))
    containerd = open.use(await startContainerd(join(dir, 'containerd'), { signal }))
    daemon = open.use(new Daemon(containerd.socket))
    gate = open.use(await openGate(join(dir, 'gate.sock'), containerd.socket))
  })
  afterAll(() => open.disposeAsync())

  let made = 0
  type Place = { readonly store: Store; readonly expiries: Expiries; readonly tag: string; readonly id: Digest }
  const options = async (pinned?: string) => ({
    root: await mkdtemp(join(dir, 'root-')),
    socket: gate.socket,
    platform: { os: 'linux', architecture: 'amd64' },
    log: recordingLog(),
    ...(pinned === undefined ? {} : { pinned }),
  })
  /** A store, and an image of this test's own that is not in it yet. */
  async function place({ pinned = false } = {}): Promise<Place & AsyncDisposable> {
    const tag = `registry.test/app${made++}:1`
    const store = await openContainerdStore(await options(pinned ? tag : undefined), { signal })
    const { id } = imageOver(['base'], { tag, label: tag })
    return {
      store,
      expiries: store.expiries ?? expect.fail(),
      tag,
      id,
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    }
  }
  const pull = ({ store, tag }: Place, as = tag): Promise<Digest> => pullByHand(store, ['base'], { tag: as, label: tag })
  const pullAhead = async (at: Place, until: Date, as = at.tag): Promise<Date | 'stays' | 'gone'> => {
    using ahead = await at.expiries.begin()
    return await ahead.give(await pull(at, as), until)
  }
  const found = async ({ store, id }: Place) => (await store.find(id)) ?? expect.fail()
  /** Of each record of the image, the one by its id among them. */
  const labels = async ({ tag, id }: Place): Promise<readonly (string | undefined)[]> => {
    const { images } = await daemon.call('list', (c, call) => c.images.list({}, call))
    const repository = tag.slice(0, tag.lastIndexOf(':'))
    return images.flatMap(({ name, labels }) => (name.startsWith(repository) || name === id ? [labels[gc.expire]] : []))
  }
  const record = async ({ tag }: Place, name: string, of: Readonly<Record<string, string>> = {}): Promise<unknown> => {
    const { images } = await daemon.call('list', (c, call) => c.images.list({}, call))
    const target = images.find((image) => image.name === tag)?.target ?? null
    return await daemon.call('create', (c, call) => c.images.create({ image: { name, target, labels: of } }, call))
  }

  test('is on every record, the one by its id among them, and is what the image shows', async () => {
    await using at = await place()
    using ahead = await at.expiries.begin()
    await pull(at)
    await record(at, at.id, { 'io.cri-containerd.image': 'managed' })
    const until = inHours(24)
    expect(await ahead.give(at.id, until)).toEqual(until)
    expect(await labels(at)).toEqual(Array(3).fill(until.toISOString()))
    expect((await found(at)).expiry).toEqual({ at: until, of: 'image' })
  })

  test('is the later one, also where the image gets another name', async () => {
    await using at = await place()
    const [sooner, later] = [inHours(1), inHours(2)]
    expect(await pullAhead(at, sooner)).toEqual(sooner)
    expect(await pullAhead(at, later)).toEqual(later)
    expect(await pullAhead(at, sooner, at.tag.replace(/1$/, 'second'))).toEqual(later)
    expect(await labels(at)).toEqual(Array(3).fill(later.toISOString()))
  })

  test.each([
    ['the image', async (at: Place) => pull(at)],
    ['the image by another name', async (at: Place) => pull(at, at.tag.replace(/1$/, 'other'))],
    [
      'one name of it',
      async (at: Place) => {
        await pullAhead(at, inHours(1))
        await record(at, at.id)
      },
    ],
  ])('is not given where %s was here for good', async (_, before) => {
    await using at = await place()
    await before(at)
    const was = await labels(at)
    expect(await pullAhead(at, inHours(24))).toBe('stays')
    expect(new Set(await labels(at))).toEqual(new Set(was))
    expect((await found(at)).expiry?.of).not.toBe('image')
  })

  test('is given to the image that a tag has moved to, though the tag was here for good', async () => {
    await using at = await place()
    await pullByHand(at.store, ['base'], { tag: at.tag, label: 'before it moved' })
    const until = inHours(1)
    expect(await pullAhead(at, until)).toEqual(until)
    expect((await found(at)).expiry).toEqual({ at: until, of: 'image' })
  })

  test('goes from every record when somebody wants the image for good', async () => {
    await using at = await place()
    await pullAhead(at, inHours(1))
    await at.expiries.stays(await found(at))
    expect(await labels(at)).toEqual([undefined, undefined])
    expect((await found(at)).expiry).toBeUndefined()
  })

  test('goes also where only some names have one, or the reader has not seen it yet', async () => {
    await using at = await place()
    const id = await pull(at)
    await record(at, id, { [gc.expire]: inHours(1).toISOString() })
    const partly = await found(at)
    expect(partly.expiry?.of).toBe('some names')
    expect(await at.expiries.stays(partly)).toBe(true)
    expect(await labels(at)).toEqual(Array(3).fill(undefined))

    await using other = await place()
    using ahead = await other.expiries.begin()
    await pull(other)
    const unseen = await found(other)
    await ahead.give(other.id, inHours(1))
    await other.expiries.stays(unseen)
    expect(await labels(other)).toEqual([undefined, undefined])
  })

  test('is not given where somebody has wanted the image since its pull began', async () => {
    await using at = await place()
    using ahead = await at.expiries.begin()
    await pull(at)
    await at.expiries.stays(await found(at))
    expect(await ahead.give(at.id, inHours(1))).toBe('stays')
    expect(await labels(at)).toEqual([undefined, undefined])
  })

  test('is not to be given or taken where the image has gone since it was found', async () => {
    await using at = await place()
    using ahead = await at.expiries.begin()
    await pullAhead(at, inHours(1))
    const image = await found(at)
    await at.store.remove(at.id)
    expect(await ahead.give(at.id, inHours(1))).toBe('gone')
    expect(await at.expiries.stays(image)).toBe(false)
  })

  test('costs no call where the image has none', async () => {
    await using at = await place()
    await pull(at)
    const image = await found(at)
    const calls: string[] = []
    gate.before = ({ method }) => void calls.push(method)
    onTestFinished(() => {
      gate.before = () => {}
    })
    await at.expiries.stays(image)
    expect(calls).toEqual([])
    await pullAhead(at, inHours(1))
    await at.expiries.stays(image)
    expect(calls).not.toEqual([])
  })

  test('is never on the image that must stay', async () => {
    await using at = await place({ pinned: true })
    expect(await pullAhead(at, inHours(1))).toBe('stays')
    expect(await labels(at)).toEqual([undefined, undefined])

    await using other = await place()
    await pullAhead(other, inHours(1))
    await using _opened = await openContainerdStore(await options(other.tag), { signal })
    expect(await labels(other)).toEqual([undefined, undefined])
  })

  test('that others have written in their own way is left to them', async () => {
    await using at = await place()
    const id = await pull(at)
    await record(at, id, { [gc.expire]: 'tomorrow' })
    expect((await found(at)).expiry).toBeUndefined()
  })
})
