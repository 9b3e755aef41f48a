/**
 * The images the demo pulls, made here and now: real executables for two platforms, a first layer big enough to watch, a file that a
 * later layer deletes, and two layers that try to get out.
 */
import { createCipheriv } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { sha256 } from '../src/oci/digest.ts'
import type { Platform } from '../src/oci/oci.ts'
import { helloElf } from '../test/support/elf.ts'
import { type BuiltImage, type BuiltIndex, type BuiltLayer, buildImage, buildIndex, buildLayer } from '../test/support/image.ts'
import { type TarEntry, tar } from '../test/support/tar.ts'

const FILES = 1200
const FILE_SIZE = 96 * 1024
const UPDATE_SIZE = 8 * 1024 * 1024
const DELETED = 'etc/deleted-later'

export type Fixture = {
  /** Three layers for linux/amd64 and linux/arm64. */
  readonly hello: BuiltIndex
  /** The same with one more layer, `update`. */
  readonly updated: BuiltIndex
  readonly update: BuiltLayer
  /** A layer with `../` in its names, and one that writes through a symlink to an absolute path. */
  readonly dots: BuiltImage
  readonly link: BuiltImage
}

/** Builds all of it. `victim` is the directory the hostile layers aim at; `platform` is this node's. */
export async function buildFixture(victim: string, platform: Platform): Promise<Fixture> {
  const base = await baseLayer()
  const whiteout = buildLayer({
    tar: [dir('etc/'), { name: 'etc/.wh.deleted-later' }, { name: 'etc/release', content: 'demo 1\n' }],
    compression: 'none',
  })
  const update = buildLayer({ tar: [dir('srv/'), { name: 'srv/update', content: noise(UPDATE_SIZE, 7) }], compression: 'none' })
  const image = (architecture: 'amd64' | 'arm64', more: readonly BuiltLayer[]): BuiltImage =>
    buildImage({
      platform: { os: 'linux', architecture },
      layers: [base, programLayer(architecture), whiteout, ...more],
      run: { Cmd: ['/bin/hello'], Env: ['PATH=/bin'], WorkingDir: '/', Labels: { 'org.opencontainers.image.title': 'hello' } },
    })
  const both = (more: readonly BuiltLayer[]): BuiltIndex => buildIndex([image('amd64', more), image('arm64', more)])
  return {
    hello: both([]),
    updated: both([update]),
    update,
    dots: hostile(platform, dotEntries(victim)),
    link: hostile(platform, linkEntries(victim)),
  }
}

async function baseLayer(): Promise<BuiltLayer> {
  const data = Array.from(
    { length: FILES },
    (_, i): TarEntry => ({ name: `usr/share/data/${String(i).padStart(4, '0')}`, content: halfNoise(i) }),
  )
  const bytes = tar([
    ...['bin/', 'etc/', 'usr/', 'usr/share/', 'usr/share/data/'].map(dir),
    { name: 'tmp/', type: 'dir', mode: 0o1777 },
    { name: 'etc/passwd', content: 'root:x:0:0:root:/:/bin/hello\n' },
    { name: DELETED, content: 'the last layer deletes this\n' },
    ...data,
    { name: 'usr/share/data/latest', type: 'symlink', link: '0000' },
    { name: 'usr/share/data/same', type: 'hardlink', link: 'usr/share/data/0000' },
  ])
  // Level 1, off this thread: what matters here is how fast it is read.
  const blob = await promisify(gzip)(bytes, { level: 1 })
  return buildLayer({ tar: bytes, blob })
}

const programLayer = (architecture: 'amd64' | 'arm64'): BuiltLayer =>
  buildLayer({
    tar: [dir('bin/'), { name: 'bin/hello', mode: 0o755, content: helloElf(architecture, { absent: `/${DELETED}` }) }],
    compression: 'zstd',
  })

const hostile = (platform: Platform, entries: readonly TarEntry[]): BuiltImage =>
  buildImage({ platform, layers: [{ tar: entries }] })

const dotEntries = (victim: string): TarEntry[] => [
  { name: '../victim/precious', content: 'owned\n' },
  { name: `${'../'.repeat(40)}${victim.slice(1)}/precious`, content: 'owned\n' },
]

const linkEntries = (victim: string): TarEntry[] => [
  { name: 'escape', type: 'symlink', link: victim },
  { name: 'escape/precious', content: 'owned\n', mode: 0o777 },
  { name: 'escape/.wh.link' },
]

const dir = (name: string): TarEntry => ({ name, type: 'dir' })

/** Half text, half noise, different for each file: it compresses to about half, as images do. */
function halfNoise(seed: number): Buffer {
  const text = Buffer.from(`file ${seed} of a layer that is made to be pulled. `)
  return Buffer.concat([Buffer.alloc(FILE_SIZE / 2, text), noise(FILE_SIZE / 2, seed)])
}

/** The same bytes for the same seed on every machine: a key stream, which no codec makes smaller. */
function noise(size: number, seed: number): Buffer {
  const key = Buffer.from(sha256(`windlass demo ${seed}`).slice(-32), 'hex')
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size))
}
