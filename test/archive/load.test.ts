/** Images out of archives: made by real tools where they are here, and by hand where nobody would write them so. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  createReadStream,
  mkdirSync,
  mkdtempDisposableSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { chooseImages, repositoryIn } from '../../src/archive/choose.ts'
import { type ArchiveSource, openArchive } from '../../src/archive/open.ts'
import { repositoryOf } from '../../src/archive/repository.ts'
import { failureOf } from '../../src/failure/failure.ts'
import { hexOf, sha256 } from '../../src/oci/digest.ts'
import { parseReference } from '../../src/reference/parse.ts'
import { lacking } from '../integration/lacking.ts'
import { type Lab, openLab } from '../pull/lab.ts'
import { type BuiltImage, buildImage, buildIndex } from '../support/image.ts'
import { type TarPart, tar } from '../support/tar.ts'

const run = promisify(execFile)
const signal = new AbortController().signal
const temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-load-'))
afterAll(() => temporary.remove())
let made = 0
const place = (): string => join(temporary.path, String(++made))

const image = buildImage({
  layers: [{ tar: [{ type: 'file', name: 'one', content: 'one' }] }, { tar: [{ name: 'two', content: 'two' }] }],
})
const arm = buildImage({ layers: [{ tar: [{ name: 'arm', content: 'arm' }] }], platform: { os: 'linux', architecture: 'arm64' } })
const anyImage = { descriptor: image.descriptor, blobs: [image.bytes, image.config, ...image.layers.map(({ blob }) => blob)] }

const json = (document: unknown): Buffer => Buffer.from(JSON.stringify(document))
const blobFile = (bytes: Uint8Array): TarPart => ({ name: `blobs/sha256/${hexOf(sha256(bytes))}`, content: bytes })
const entryOf = ({ descriptor }: Pick<BuiltImage, 'descriptor'>, name?: string) => ({
  ...descriptor,
  ...(name === undefined ? {} : { annotations: { 'org.opencontainers.image.ref.name': name } }),
})
const layoutOf = (entries: readonly unknown[], blobs: readonly Uint8Array[]): TarPart[] => [
  { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
  { name: 'index.json', content: json({ schemaVersion: 2, manifests: entries }) },
  ...blobs.map(blobFile),
]
const simple = (name?: string): TarPart[] => layoutOf([entryOf(anyImage, name)], anyImage.blobs)
const dockerOf = (layers: readonly TarPart[], names: readonly string[] = ['r.example/app:v1']): TarPart[] => [
  { name: 'config.json', content: image.config },
  ...layers,
  { name: 'manifest.json', content: json([{ Config: 'config.json', RepoTags: names, Layers: ['a/layer.tar', 'b/layer.tar'] }]) },
]
const [first, second] = image.layers

function file(content: Uint8Array): string {
  const path = place()
  writeFileSync(path, content)
  return path
}

async function opened(source: ArchiveSource | string) {
  const spoolDir = place()
  mkdirSync(spoolDir)
  const archive = await openArchive(typeof source === 'string' ? { path: source } : source, { signal, spoolDir })
  onTestFinished(() => archive[Symbol.asyncDispose]())
  // What is spooled has no name from the first moment.
  expect(readdirSync(spoolDir)).toEqual([])
  return archive
}

const refusal = async (work: Promise<unknown>) => {
  try {
    await work
  } catch (error) {
    return failureOf(error)
  }
  throw new Error('it succeeded')
}

describe.skipIf(lacking('root'))('an image out of an archive', () => {
  const resources = new AsyncDisposableStack()
  afterAll(() => resources.disposeAsync())

  const lab = async (): Promise<Lab> => {
    const fresh = await openLab()
    onTestFinished(() => fresh[Symbol.asyncDispose]())
    return fresh
  }
  const load = async (into: Lab, source: ArchiveSource | string, name = 'r.example/app:v1') => {
    const archive = await opened(source)
    const [chosen] = chooseImages(archive, { images: [], all: false, name })
    if (chosen === undefined) throw new Error('nothing was chosen')
    const from = repositoryOf(await chosen.image.open({ signal }), chosen.reference, archive.name)
    return await into.pull({ reference: chosen.reference, credentials: { kind: 'anonymous' }, client: 'cli', source: from })
  }

  const directory = (): string => {
    const dir = place()
    mkdirSync(join(dir, 'blobs', 'sha256'), { recursive: true })
    writeFileSync(join(dir, 'index.json'), json({ schemaVersion: 2, manifests: [entryOf(anyImage, 'v1')] }))
    for (const blob of anyImage.blobs) writeFileSync(join(dir, 'blobs', 'sha256', hexOf(sha256(blob))), blob)
    return dir
  }

  it.each([
    ['a tar', () => file(tar(simple()))],
    ['a tar in gzip', () => file(gzipSync(tar(simple())))],
    ['a tar in zstd', () => file(zstdCompressSync(tar(simple())))],
    ['a directory', directory],
    ['a pipe', () => ({ stream: createReadStream(file(gzipSync(tar(simple())))), name: 'stdin' })],
    [
      'a tar with ./ before its names',
      () => file(tar(simple().map((part) => ('name' in part ? { ...part, name: `./${part.name}` } : part)))),
    ],
  ])('comes from %s as from its registry', async (_, source) => {
    const here = await lab()
    const { id, events } = await load(here, source())
    expect(id).toBe(image.id)
    const stored = await here.store.find('r.example/app:v1')
    expect(stored).toMatchObject({ id: image.id, digests: [`r.example/app@${image.descriptor.digest}`] })
    const [base] = stored?.layerIds ?? []
    const layer = base === undefined ? undefined : await here.store.layer(base)
    expect(readFileSync(join(layer?.diff ?? '', 'one'), 'utf8')).toBe('one')
    expect(events.filter(({ type }) => type === 'layer')).toHaveLength(2)
    // Nobody has let anybody in.
    if (stored === undefined) throw new Error('it is not here')
    expect((await here.store.receipts.of(stored)).receipts).toEqual([])
    // A second time nothing moves.
    const again = await load(here, source())
    expect(again.events.flatMap((event) => (event.type === 'layer' ? [event.report.origin] : []))).toEqual(['here', 'here'])
  })

  it('comes from what docker save writes, its compressed layers and its links too', async () => {
    const here = await lab()
    const source = dockerOf([
      { name: 'a/layer.tar', content: first?.tar ?? '' },
      { name: 'c/layer.tar', content: second?.blob ?? '' },
      { name: 'b/layer.tar', type: 'symlink', link: '../c/layer.tar' },
    ])
    const { id } = await load(here, file(tar(source)))
    expect(id).toBe(image.id)
    expect((await here.store.find('r.example/app:v1'))?.layers.map(({ digest }) => digest)).toEqual([
      first?.diffId,
      second?.descriptor.digest,
    ])
  })

  it('is chosen by platform, in an index and among entries of one name', async () => {
    const index = buildIndex([image, arm])
    const blobs = [...anyImage.blobs, arm.bytes, arm.config, ...arm.layers.map(({ blob }) => blob)]
    const nested = file(tar(layoutOf([entryOf(index, 'r.example/app:v1')], [index.bytes, ...blobs])))
    const flat = file(tar(layoutOf([entryOf(image, 'r.example/app:v1'), entryOf(arm, 'r.example/app:v1')], blobs)))
    for (const source of [nested, flat]) {
      const here = await lab()
      expect((await load(here, source)).id).toBe(image.id)
      const archive = await opened(source)
      const reference = parseReference('r.example/app:v1')
      const request = { reference, credentials: { kind: 'anonymous' }, client: 'cli' } as const
      const platform = { os: 'linux', architecture: 'arm64' }
      const { id } = await here.pull({
        ...request,
        platform,
        source: await repositoryIn(archive, 'r.example/app:v1', { signal }),
      })
      expect(id).toBe(arm.id)
    }
  })

  it('is refused whole where bytes are wrong or missing, and nothing is visible', async () => {
    const wrong = Buffer.from(second?.blob ?? '')
    wrong[wrong.length - 9] = (wrong[wrong.length - 9] ?? 0) ^ 1
    const [manifest, config, one, two] = anyImage.blobs
    if (manifest === undefined || config === undefined || one === undefined || two === undefined) throw new Error('no blobs')
    const named = (bytes: Uint8Array, content: Uint8Array): TarPart => ({ ...blobFile(bytes), content })
    const index = layoutOf([entryOf(anyImage, 'r.example/app:v1')], [])
    const cases: readonly [string, TarPart[]][] = [
      ['bad-archive', [...index, blobFile(manifest), blobFile(config), blobFile(one)]],
      ['bad-archive', [...index, blobFile(config), blobFile(one), blobFile(two)]],
      ['digest-mismatch', [...index, blobFile(manifest), blobFile(config), blobFile(one), named(two, wrong)]],
      ['size-mismatch', [...index, blobFile(manifest), blobFile(config), blobFile(one), named(two, two.subarray(0, 40))]],
      ['digest-mismatch', [...index, named(manifest, config), blobFile(config), blobFile(one), blobFile(two)]],
      ['size-mismatch', [...index, blobFile(manifest), named(config, config.subarray(1)), blobFile(one), blobFile(two)]],
    ]
    for (const [kind, parts] of cases) {
      const here = await lab()
      expect((await refusal(load(here, file(tar(parts))))).kind).toBe(kind)
      expect(await here.store.images()).toEqual([])
    }
  })

  it('is not what a pull of the same name from its registry is given', async () => {
    const here = await lab()
    const request = here.publish('app:v1', image)
    const other = buildImage({ layers: [{ tar: [{ name: 'other', content: 'other' }] }] })
    const blobs = [other.bytes, other.config, ...other.layers.map(({ blob }) => blob)]
    const archive = await opened(file(tar(layoutOf([entryOf(other, `${here.registry.host}/app:v1`)], blobs))))
    const source = await repositoryIn(archive, `${here.registry.host}/app:v1`, { signal })
    const [loaded, pulled] = await Promise.all([here.pull({ ...request, source }), here.pull(request)])
    expect([loaded.id, pulled.id]).toEqual([other.id, image.id])
  })
})

describe('an archive that is none', () => {
  it.each<[string, TarPart[] | Buffer, RegExp]>([
    ['has neither index', [{ name: 'x', content: 'x' }], /neither index\.json nor manifest\.json/],
    ['is empty', Buffer.alloc(0), /it is empty/],
    ['is no tar', Buffer.alloc(2048, 'x'), /checksum/],
    ['is cut off', tar(simple('r.example/app:v1')).subarray(0, 1700), /ends in the middle/],
    [
      'has a damaged gzip stream',
      Buffer.concat([gzipSync(tar(simple())).subarray(0, 100), Buffer.alloc(30, 7)]),
      /cannot be loaded/,
    ],
    ['says index.json twice', [...simple(), { name: './index.json', content: '{}' }], /more than once/],
    [
      'has a sparse index',
      [
        {
          name: 'index.json',
          content: '{}',
          pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'index.json', 'GNU.sparse.realsize': '2' },
        },
      ],
      /sparse/,
    ],
    ['has a link for an index that leads out', [{ name: 'index.json', type: 'symlink', link: '../../etc/passwd' }], /leads out/],
    ['has a link to an absolute path', [{ name: 'index.json', type: 'symlink', link: '/etc/passwd' }], /leads out/],
    [
      'has links in a circle',
      [
        { name: 'index.json', type: 'symlink', link: 'b' },
        { name: 'b', type: 'symlink', link: 'index.json' },
      ],
      /circle/,
    ],
    ['has a device for an index', [{ name: 'index.json', type: 'char', devMajor: 1, devMinor: 3 }], /no file/],
    ['has a large index', [{ name: 'index.json', content: Buffer.alloc(5_000_000) }], /4194304 are allowed/],
    ['has a manifest.json of something else', [{ name: 'manifest.json', content: '{"a":1}' }], /manifest\.json/],
    ['is a bomb', gzipSync(Buffer.alloc(64 * 1024 * 1024)), /times its size|no tar|neither/],
  ])('%s', async (_, content, reason) => {
    const failure = await refusal(opened(file(Buffer.isBuffer(content) ? content : tar(content))))
    expect(failure).toMatchObject({ kind: 'bad-archive', reason: expect.stringMatching(/./) })
    if (failure.kind === 'bad-archive') expect(`${failure.entry} ${failure.reason} cannot be loaded`).toMatch(reason)
  })

  it.skipIf(lacking('root'))('is inflated to no more than a disk has to spare', async () => {
    const spoolDir = place()
    mkdirSync(spoolDir)
    await run('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', spoolDir])
    onTestFinished(async () => void (await run('umount', [spoolDir])))
    const open = async (mebibytes: number, freePercent: number) => {
      const content = Buffer.alloc(mebibytes * 1024 * 1024, randomBytes(4_096))
      const path = file(gzipSync(tar([{ name: 'x', content }])))
      return (await refusal(openArchive({ path }, { signal, spoolDir, freePercent }))).kind
    }
    // Nothing that could be loaded, where it fits.
    expect([await open(55, 0), await open(55, 20), await open(63.5, 0)]).toEqual(['bad-archive', 'no-space', 'no-space'])
  })

  it('is looked through without holding up who else has something to do', async () => {
    const path = file(tar(Array.from({ length: 5_000 }, (_, at) => ({ name: `f${at}`, content: 'x' }))))
    let turns = 0
    const next = (): void => {
      turns++
      immediate = setImmediate(next)
    }
    let immediate = setImmediate(next)
    await refusal(openArchive({ path }, { signal, spoolDir: temporary.path }))
    clearImmediate(immediate)
    expect(turns).toBeGreaterThan(50)
    const leaving = new AbortController()
    const left = refusal(openArchive({ path }, { signal: leaving.signal, spoolDir: temporary.path }))
    leaving.abort()
    expect((await left).kind).toBe('cancelled')
  })

  it('keeps to its directory', async () => {
    const dir = place()
    mkdirSync(dir)
    symlinkSync(file(json({ schemaVersion: 2, manifests: [] })), join(dir, 'index.json'))
    expect(await refusal(opened(dir))).toMatchObject({
      kind: 'bad-archive',
      entry: 'index.json',
      reason: expect.stringMatching(/leads out/),
    })
    await run('mkfifo', [join(dir, 'manifest.json')])
    const other = place()
    mkdirSync(other)
    await run('mkfifo', [join(other, 'index.json')])
    expect(await refusal(opened(other))).toMatchObject({ kind: 'bad-archive', reason: 'it is no regular file' })
  })

  it('is asked for by what it holds', async () => {
    const two = await opened(file(tar(layoutOf([entryOf(image, 'r.example/app:v1'), entryOf(arm, 'r.example/arm:v1')], []))))
    const choose = (images: string[], all: boolean, name?: string) =>
      chooseImages(two, { images, all, ...(name === undefined ? {} : { name }) }).map(({ reference }) => reference.repository)
    expect(choose([], true)).toEqual(['app', 'arm'])
    expect(choose(['r.example/arm:v1'], false)).toEqual(['arm'])
    expect(choose(['r.example/arm:v1'], false, 'x.example/y:z')).toEqual(['y'])
    expect(() => choose([], false)).toThrow(
      /it holds 2 images, r\.example\/app:v1, r\.example\/arm:v1; name those you mean, or give --all/,
    )
    expect(() => choose(['r.example/none:v1'], false)).toThrow(/holds no image r\.example\/none:v1/)
    expect(() => choose([], true, 'x.example/y:z')).toThrow(/one image/)
    const bare = await opened(file(tar(simple('v1'))))
    expect(() => chooseImages(bare, { images: [], all: false })).toThrow(/no name with a repository; give it one with --name/)
  })
})
