/** Layers that another store builds on stay, and nothing goes while what it says cannot be understood. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { layerIds } from '../../../src/oci/digest.ts'
import { adoptedLayers } from '../../../src/store/local/adopted.ts'
import { openLocalStore } from '../../../src/store/local/local.ts'
import { lockOutReaders } from '../../../src/store/local/reader-lock.ts'
import { graphRoots } from '../../../src/store/local/storage-conf.ts'
import type { Store } from '../../../src/store/store.ts'
import { commitLayer, diffIdOf, pullByHand } from '../fixtures.ts'
import { recordingLog, temporaryRoot } from './place.ts'

const { signal } = new AbortController()
const tag = 'registry.test/app:1'
const [base, middle, top] = layerIds(['base', 'middle', 'top'].map(diffIdOf))
let place: ReturnType<typeof temporaryRoot>
let primary: string
let log: ReturnType<typeof recordingLog>

beforeEach(() => {
  place = temporaryRoot()
  primary = join(dirname(place.root), 'primary')
  log = recordingLog()
})
afterEach(() => place[Symbol.dispose]())

/** Open, and with everything in its place: what asks for it waits until it is. */
async function open(): Promise<Store> {
  const store = await openLocalStore({ root: place.root, primaryGraphRoots: [primary], log }, { signal })
  await store.holdings?.look()
  return store
}
const inPrimary = (path: string): string => join(primary, path)
/** Writes a file of the other store's. */
function says(path: string, document: unknown): void {
  mkdirSync(dirname(inPrimary(path)), { recursive: true })
  writeFileSync(inPrimary(path), typeof document === 'string' ? document : JSON.stringify(document))
}
const theirs = 'f'.repeat(64)
const inGraph = (): readonly string[] => readdirSync(join(place.root, 'overlay')).filter((name) => name !== 'l')
const messages = (level: string): readonly string[] =>
  log.lines.filter((line) => line.level === level).map(({ message }) => message)

async function removed(store: Store): Promise<readonly string[]> {
  const image = await store.find(tag)
  if (image !== undefined) await store.remove(image.id)
  return (await store.collect()).map(({ id }) => id)
}

describe('a layer stays, with all below it, that another store names as', () => {
  const ways: Readonly<Record<string, () => void>> = {
    'the parent of a layer': () =>
      says('overlay-layers/layers.json', [{ id: theirs, parent: middle, created: 'x', 'diff-size': 5 }]),
    'the parent of a volatile layer': () => says('overlay-layers/volatile-layers.json', [{ id: theirs, parent: middle }]),
    'the top of an image': () => says('overlay-images/images.json', [{ id: theirs, layer: middle, names: null }]),
    'a mapped top of an image': () => says('overlay-images/images.json', [{ id: theirs, 'mapped-layers': [middle] }]),
  }
  test.each(Object.keys(ways))('%s', async (way) => {
    await using store = await open()
    await pullByHand(store, ['base', 'middle', 'top'], { tag })
    ways[way]?.()
    expect(await removed(store)).toEqual([top])
    expect(inGraph().toSorted()).toEqual([base, middle].toSorted())
    expect(await store.collect()).toEqual([])
    expect(messages('info').filter((message) => message.includes('another store does'))).toHaveLength(1)
    // What stays can be used like any other.
    await pullByHand(store, ['base', 'middle', 'top'], { tag })
    rmSync(primary, { recursive: true })
    expect(await removed(store)).toEqual([top, middle, base])
    expect(inGraph()).toEqual([])
  })
})

test('a layer that stays is there after a restart, and is not replaced by a pull that comes while it is asked about', async () => {
  says('overlay-layers/layers.json', [{ id: theirs, parent: base }])
  {
    await using store = await open()
    await pullByHand(store, ['base'], { tag })
    expect(await removed(store)).toEqual([])
  }
  await using store = await open()
  const [kept] = await Promise.all([
    store.collect(),
    commitLayer(store, { name: 'base', write: (diff) => writeFileSync(join(diff, 'other'), 'another tree') }),
  ])
  expect(kept).toEqual([])
  expect(readdirSync(join(place.root, 'overlay', base ?? '', 'diff'))).toEqual(['base'])
})

describe('nothing goes while the other store cannot be understood:', () => {
  const damages: Readonly<Record<string, () => void>> = {
    'a torn file': () => says('overlay-layers/layers.json', '[{"id":"a'),
    'another kind of document': () => says('overlay-layers/layers.json', { layers: [] }),
    'a parent that is a number': () => says('overlay-layers/layers.json', [{ id: theirs, parent: 5 }]),
    'a file of more bytes than are read': () => {
      says('overlay-layers/layers.json', '[]')
      execFileSync('truncate', ['--size', '65M', inPrimary('overlay-layers/layers.json')])
    },
    'a directory in its place': () => mkdirSync(inPrimary('overlay-layers/layers.json'), { recursive: true }),
    'a fifo, which is not waited for': () => {
      mkdirSync(inPrimary('overlay-images'), { recursive: true })
      execFileSync('mkfifo', [inPrimary('overlay-images/images.json')])
    },
  }
  test.each(Object.keys(damages))('%s', async (damage) => {
    await using store = await open()
    await pullByHand(store, ['base', 'top'], { tag })
    damages[damage]?.()
    expect(await removed(store)).toEqual([])
    expect(await store.collect()).toEqual([])
    expect(inGraph()).toHaveLength(2)
    expect(messages('warn')).toHaveLength(1)
    rmSync(primary, { recursive: true })
    expect(await removed(store)).toHaveLength(2)
  })
})

test('a store that is empty, or that is not there, needs nothing; ours is not asked', () => {
  expect(adoptedLayers('/none', [primary])).toEqual({ kind: 'known', layers: new Set() })
  says('overlay-layers/layers.json', '')
  says('overlay-images/images.json', 'null')
  expect(adoptedLayers('/none', [primary])).toEqual({ kind: 'known', layers: new Set() })
  says('overlay-layers/layers.json', 'torn')
  expect(adoptedLayers(primary, [primary, `${primary}/`])).toEqual({ kind: 'known', layers: new Set() })
})

test.each(['overlay-layers/layers.lock', 'overlay-images/images.lock'])(
  'layers wait for a reader of %s to end: it may be about to build on them',
  async (name) => {
    await using store = await open()
    await pullByHand(store, ['base'], { tag })
    const image = await store.find(tag)
    if (image !== undefined) await store.remove(image.id)
    const lock = join(place.root, name)
    // A lock of another open file, as a reader's in another process is.
    const reader = lockOutReaders(lock)
    expect(reader).toBeDefined()
    expect(lockOutReaders(lock)).toBeUndefined()
    const collected = store.collect()
    // Answered by the keeper after the collection's first question.
    expect(await store.untag('registry.test/none:1')).toBe(false)
    expect(inGraph()).toEqual([base])
    says('overlay-layers/layers.json', [{ id: theirs, parent: base }])
    reader?.[Symbol.dispose]()
    expect(await collected).toEqual([])
    rmSync(primary, { recursive: true })
    expect((await store.collect()).map(({ id }) => id)).toEqual([base])
  },
)

test('layers that no record names stay at the start where another store needs them, and those below', async () => {
  {
    await using store = await open()
    await pullByHand(store, ['base', 'middle', 'top'], { tag })
  }
  // As after a database that had to be set aside, where there is nothing to make it anew of.
  for (const name of readdirSync(place.root)) if (name.startsWith('windlass.db')) rmSync(join(place.root, name))
  for (const file of ['overlay-layers/layers.json', 'overlay-images/images.json']) rmSync(join(place.root, file))
  says('overlay-layers/layers.json', [{ id: theirs, parent: middle }])
  {
    await using store = await open()
    expect(await store.images()).toEqual([])
    expect(inGraph().toSorted()).toEqual([base, middle].toSorted())
    for (const id of [base, middle]) expect(existsSync(join(place.root, 'overlay-layers', `${id}.tar-split.gz`))).toBe(true)
    expect(readdirSync(join(place.root, 'overlay/l'))).toHaveLength(2)
    expect(messages('warn')).toEqual(['no record names these layers, but another store needs them: they stay'])
  }
  rmSync(primary, { recursive: true })
  await using _store = await open()
  expect(inGraph()).toEqual([])
})

describe('the configuration of podman and CRI-O', () => {
  const defaults = ['/var/lib/containers/storage', '/run/containers/storage']
  /** Writes one of the files, below a directory that stands for `/`. */
  const conf = (path: string, text: string): void => {
    const file = join(top(), path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
  const top = (): string => join(dirname(place.root), 'machine')
  const found = (named = '') => graphRoots(top(), named)
  const roots = (...named: readonly string[]) => ({ kind: 'roots', roots: [...named, ...defaults] })

  test('may be absent, or say nothing; the defaults count all the same', () => {
    expect(found()).toEqual(roots())
    conf('etc/containers/storage.conf', '')
    conf('etc/crio/crio.conf', '[crio.image]\npause_image = "x"\n')
    expect(found()).toEqual(roots())
    conf('etc/containers/storage.conf', '[storage]\ngraphroot = ""\n')
    expect(found(join(top(), 'none'))).toEqual(roots())
  })
  test('names the root of containers, that of images and that of what need not last', () => {
    conf(
      'etc/containers/storage.conf',
      '[storage]\ndriver = "overlay"\ngraphroot = "/data/graph"\nimagestore = "/data/images"\nrunroot = "/data/run"\n[storage.options]\nadditionalimagestores = ["/x"]\n',
    )
    expect(found()).toEqual(roots('/data/graph', '/data/images', '/data/run'))
  })
  test.each([
    'usr/share/containers/storage.conf',
    'usr/share/containers/storage.conf.d/50-site.conf',
    'etc/containers/storage.conf.d/50-site.conf',
    'etc/containers/storage.rootful.conf.d/50-site.conf',
  ])('is read in %s, whatever the main file says', (path) => {
    conf('etc/containers/storage.conf', '[storage]\ngraphroot = "/data/main"\n')
    conf(path, '[storage]\ngraphroot = "/data/other"\n')
    expect(found()).toEqual(roots('/data/main', '/data/other'))
  })
  test('is the file that the environment names, too', () => {
    conf('elsewhere.conf', '[storage]\ngraphroot = "/data/named"\n')
    conf('etc/containers/storage.conf', '[storage]\ngraphroot = "/data/main"\n')
    expect(found(join(top(), 'elsewhere.conf'))).toEqual(roots('/data/named', '/data/main'))
  })
  test('is that of CRI-O, where it has roots of its own', () => {
    conf('etc/crio/crio.conf', '[crio]\nroot = "/data/crio"\n[crio.runtime]\nselinux = true\n')
    conf('etc/crio/crio.conf.d/10-split', '[crio]\nimagestore = "/data/images"\nrunroot = "/data/run"\n')
    expect(found()).toEqual(roots('/data/crio', '/data/images', '/data/run'))
  })
  const damages: Readonly<Record<string, readonly [path: string, text: string]>> = {
    'is no TOML': ['etc/containers/storage.conf', '[storage'],
    'has a root that is a number': ['etc/containers/storage.conf', '[storage]\ngraphroot = 5\n'],
    'has a storage that is no table': ['etc/containers/storage.conf', 'storage = "x"'],
    'has a root with a variable in it': ['etc/containers/storage.conf', '[storage]\ngraphroot = "$HOME/graph"\n'],
    'has a root that is relative': ['etc/crio/crio.conf', '[crio]\nroot = "graph"\n'],
    'has more than a MiB': ['etc/containers/storage.conf', '#'.repeat(2 ** 20 + 1)],
    'is torn, in a drop-in': ['etc/crio/crio.conf.d/10-split', '[crio'],
  }
  test.each(Object.keys(damages))('may name anything where it %s', (damage) => {
    const [path, text] = damages[damage] ?? ['', '']
    conf(path, text)
    expect(found()).toMatchObject({ kind: 'unknown', file: join(top(), path) })
  })
  test('may name anything where it is no file', () => {
    mkdirSync(join(top(), 'etc/containers/storage.conf'), { recursive: true })
    expect(found()).toMatchObject({ kind: 'unknown', file: join(top(), 'etc/containers/storage.conf') })
  })
})
