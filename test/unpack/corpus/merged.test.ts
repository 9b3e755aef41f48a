/** T15–T17, T19, T22, T42, T45, T51–T54: what a container would see, through the real store and overlay mounts. */
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sha256 } from '../../../src/oci/digest.ts'
import { buildImage, buildLayer } from '../../support/image.ts'
import { tar } from '../../support/tar.ts'
import { badLayer, isRoot } from './corpus.ts'
import { imageOf, type Node, openNode } from './merged.ts'

const names = (path: string): string[] => readdirSync(path).toSorted()

describe.skipIf(!isRoot)('merged trees', () => {
  let node: Node
  beforeAll(async () => {
    node = await openNode()
  })
  afterEach(async () => {
    expect(await node.lab.staging()).toEqual([])
    expect(node.victimUnchanged()).toBe(true)
  })
  afterAll(() => node[Symbol.asyncDispose]())

  it('T15 parents that a tar leaves out keep what they have below, and are 0755 where there is nothing below', async () => {
    using image = await node.merged([
      [
        { name: 'tmp/', type: 'dir', mode: 0o1777 },
        { name: 'home/', type: 'dir', mode: 0o711 },
        { name: 'home/u/', type: 'dir', mode: 0o700, uid: 1000, gid: 1001, mtime: 1_000, xattrs: { 'user.x': 'x' } },
      ],
      [{ name: 'tmp/a' }, { name: 'home/u/b' }, { name: 'new/er/c' }],
      [{ name: 'tmp/d' }, { name: 'new/er/e' }],
    ])
    expect(statSync(`${image.path}/tmp`).mode & 0o7777).toBe(0o1777)
    expect(statSync(`${image.path}/home`).mode & 0o7777).toBe(0o711)
    expect(statSync(`${image.path}/home/u`)).toMatchObject({ mode: 0o40700, uid: 1000, gid: 1001, mtimeMs: 1_000_000 })
    expect(statSync(`${image.path}/new/er`)).toMatchObject({ mode: 0o40755, uid: 0 })
    expect(names(`${image.path}/tmp`)).toEqual(['a', 'd'])
  })

  it('T16 a whiteout hides a file, a directory, and a symlink but not its target', async () => {
    using image = await node.merged([
      [
        { name: 'file' },
        { name: 'dir/in' },
        { name: 'target/in' },
        { name: 'link', type: 'symlink', link: 'target' },
        { name: 'd/file' },
      ],
      [{ name: '.wh.file' }, { name: '.wh.dir' }, { name: '.wh.link' }, { name: 'd/.wh.file' }, { name: '.wh.never-was' }],
    ])
    expect(names(image.path)).toEqual(['d', 'target'])
    expect(names(`${image.path}/d`)).toEqual([])
    expect(names(`${image.path}/target`)).toEqual(['in'])
  })

  it('T17 an entry beside its own whiteout is seen, and the lower one is not', async () => {
    using image = await node.merged([
      [{ name: 'foo', content: 'lower' }],
      [{ name: 'foo', content: 'upper' }, { name: '.wh.foo' }],
    ])
    expect(readFileSync(`${image.path}/foo`, 'utf8')).toBe('upper')
  })

  it('T19 a directory beside its own whiteout shows nothing from below', async () => {
    using image = await node.merged([
      [{ name: 'foo/old' }, { name: 'bar/old' }],
      [{ name: '.wh.foo' }, { name: 'foo/', type: 'dir' }, { name: 'bar/new' }, { name: '.wh.bar' }],
    ])
    expect(names(`${image.path}/foo`)).toEqual([])
    expect(names(`${image.path}/bar`)).toEqual(['new'])
  })

  it('T22 a whiteout in an opaque directory leaves no name without a file', async () => {
    using image = await node.merged([
      [{ name: 'd/a' }, { name: 'd/b' }],
      [{ name: 'd/.wh.a' }, { name: 'd/.wh..wh..opq' }, { name: 'd/new' }],
    ])
    expect(names(`${image.path}/d`)).toEqual(['new'])
  })

  it('T42 a layer of no bytes is refused before it is fetched', async () => {
    const layer = buildLayer({ tar: Buffer.alloc(0), compression: 'none' })
    const request = node.lab.publish('empty:1', buildImage({ layers: [layer] }))
    expect(await node.lab.refusal(request)).toMatchObject({ kind: 'malformed' })
    expect(node.lab.registry.blobGets(layer.descriptor.digest)).toBe(0)
  })

  it('T45 a layer is what its bytes are, whatever its media type says', async () => {
    const types = {
      gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
      zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
      none: 'application/vnd.oci.image.layer.v1.tar',
    }
    const layers = (['gzip', 'zstd', 'none'] as const).flatMap((compression) =>
      Object.values(types).map((mediaType) => ({
        tar: [{ name: `${compression}-as${mediaType.slice(-5)}` }],
        compression,
        mediaType,
      })),
    )
    using image = await node.pulled(buildImage({ layers }))
    expect(names(image.path).length).toBe(9)
  })

  it('T51 a wrong diffID, and another number of them than of layers, fail the pull', async () => {
    const layer = { tar: [{ name: 'f' }] }
    const rootfs = (...diff_ids: string[]) => ({ config: { rootfs: { type: 'layers', diff_ids } } })
    const wrong = buildImage({ layers: [layer], ...rootfs(sha256('something else')) })
    expect(await node.lab.refusal(node.lab.publish('wrong:1', wrong))).toMatchObject({ kind: 'digest-mismatch', what: 'diffID' })
    const many = buildImage({ layers: [layer], ...rootfs(sha256('a'), sha256('b')) })
    expect(await node.lab.refusal(node.lab.publish('many:1', many))).toMatchObject({ kind: 'malformed' })
  })

  it('T52 200 layers mount; more than 500 are refused before any is fetched', { timeout: 180_000 }, async () => {
    const layers = (count: number) => Array.from({ length: count }, (_, i) => [{ name: `f${i}`, content: `${i} of ${count}` }])
    using image = await node.merged(layers(200))
    expect(names(image.path).length).toBe(200)
    const tooMany = imageOf(layers(501))
    expect(await node.lab.refusal(node.lab.publish('many:2', tooMany))).toMatchObject({ kind: 'unsupported' })
    expect(
      tooMany.layers.map(({ descriptor }) => node.lab.registry.blobGets(descriptor.digest)).every((gets) => gets === 0),
    ).toBe(true)
  })

  it('T53 a hard link to what only a lower layer has fails the pull', async () => {
    const image = imageOf([[{ name: 'lower' }], [{ name: 'link', type: 'hardlink', link: 'lower' }]])
    expect(await node.lab.refusal(node.lab.publish('link:1', image))).toMatchObject(badLayer)
  })

  it('T54 a directory that a layer implies hides a lower symlink of that name', async () => {
    using image = await node.merged([
      [{ name: 'usr/lib/y' }, { name: 'lib', type: 'symlink', link: 'usr/lib' }],
      [{ name: 'lib/x', content: 'x' }],
    ])
    expect(lstatSync(`${image.path}/lib`).isDirectory()).toBe(true)
    expect(names(`${image.path}/lib`)).toEqual(['x'])
    expect(names(`${image.path}/usr/lib`)).toEqual(['y'])
  })

  it('T3 a symlink of a lower layer is not followed when an upper one is unpacked', async () => {
    using image = await node.merged([
      [{ name: 'out', type: 'symlink', link: '/etc' }],
      [{ name: 'out/passwd', content: 'upper' }],
    ])
    expect(readFileSync(`${image.path}/out/passwd`, 'utf8')).toBe('upper')
    expect(existsSync(`${image.path}/etc`)).toBe(false)
  })

  it('T44 a bomb fails within seconds, says which setting to raise, and leaves nothing', async () => {
    const zeros = gzipSync(tar([{ name: 'zeros', content: Buffer.alloc(300_000_000) }]), { level: 9 })
    const image = buildImage({ layers: [{ tar: [], blob: zeros }] })
    const start = performance.now()
    expect(await node.lab.refusal(node.lab.publish('bomb:1', image))).toMatchObject({
      kind: 'limit',
      setting: 'limits.maxCompressionRatio',
    })
    expect(performance.now() - start).toBeLessThan(5_000)
  })
})
