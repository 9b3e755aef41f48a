/**
 * The image of the comparison: a Debian root from mmdebstrap and four more layers of Debian packages on top, each layer what overlay
 * found changed, whiteouts included, as an image build would have made it. Made once and kept in a cache directory.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { cp, lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { z } from 'zod'
import { type Digest, digestOfHex, parseDigest, sha256 } from '../src/oci/digest.ts'
import { cstr, lgetxattr } from '../src/sys/libc.ts'
import type { Abortable } from '../src/task/task.ts'
import { mounted, run } from '../test/integration/process.ts'
import { type LayerToPush, pushImage } from '../test/registry/docker-registry.ts'

const layers: readonly (readonly string[])[] = [
  ['perl', 'python3', 'git', 'curl', 'ca-certificates'],
  ['gcc', 'g++', 'make', 'clang', 'libssl-dev'],
  ['linux-headers-amd64', 'fonts-noto-cjk', 'fonts-dejavu'],
  ['openjdk-17-jre-headless', 'vim', 'python3-numpy', 'nodejs'],
]

const digest = z.string().transform((text) => parseDigest(text))
const Layer = z.object({ digest, diffId: digest, size: z.number(), unpackedSize: z.number(), entries: z.number() })
const Record = z.object({ layers: z.array(Layer) })
type Layer = z.infer<typeof Layer>

/** Where it is kept. */
export const benchCache = join(tmpdir(), 'windlass-bench')

export type BenchImage = {
  readonly config: string
  readonly layers: readonly (LayerToPush & { readonly blob: { readonly file: string } })[]
  readonly imageId: Digest
  /** Compressed and unpacked bytes, and tar entries, over all layers. */
  readonly size: number
  readonly unpackedSize: number
  readonly entries: number
}

/** The image in the cache, made first where it is not there yet (a few minutes, 2 GB). `say` is told what takes long. */
export async function benchImage(say: (text: string) => void, options: Abortable): Promise<BenchImage> {
  const cache = benchCache
  const record = join(cache, 'image.json')
  const known = await readFile(record, 'utf8').catch(() => undefined)
  if (known !== undefined) return asImage(cache, Record.parse(JSON.parse(known)).layers)
  await mkdir(cache, { recursive: true })
  const roots = join(cache, 'roots')
  await rm(roots, { recursive: true, force: true })
  const made = await makeLayers(cache, roots, say, options)
  await rm(roots, { recursive: true, force: true })
  await writeFile(`${record}.tmp`, JSON.stringify({ layers: made }))
  await rename(`${record}.tmp`, record)
  return asImage(cache, made)
}

async function makeLayers(cache: string, roots: string, say: (text: string) => void, options: Abortable): Promise<Layer[]> {
  say('mmdebstrap bookworm')
  const base = join(roots, 'base')
  await mkdir(roots, { recursive: true })
  // The package lists stay, for the layers above; they are left out of the tar.
  await run('mmdebstrap', ['--mode=root', '--variant=minbase', '--skip=cleanup/apt', 'bookworm', base], options)
  const stack = [base]
  for (const packages of layers) {
    say(`apt-get install ${packages.join(' ')}`)
    stack.unshift(await installLayer(roots, stack, packages, options))
  }
  const made: Layer[] = []
  for (const [index, dir] of stack.toReversed().entries()) {
    say(`layer ${index + 1} of ${stack.length}`)
    made.push(await pack(dir, cache, options))
  }
  return made
}

/** Installs packages on top of `stack` (topmost first) and returns the directory that holds what has changed. */
async function installLayer(
  roots: string,
  stack: readonly string[],
  packages: readonly string[],
  options: Abortable,
): Promise<string> {
  const dir = join(roots, `layer-${stack.length}`)
  const [upper, work, merged] = [join(dir, 'upper'), join(dir, 'work'), join(dir, 'merged')]
  for (const each of [upper, work, merged]) await mkdir(each, { recursive: true })
  const plain = 'redirect_dir=off,metacopy=off,index=off'
  {
    using _root = mounted(merged, [
      '-t',
      'overlay',
      'overlay',
      '-o',
      `lowerdir=${stack.join(':')},upperdir=${upper},workdir=${work},${plain}`,
    ])
    using _proc = mounted(join(merged, 'proc'), ['-t', 'proc', 'proc'])
    await cp('/etc/resolv.conf', join(merged, 'etc/resolv.conf'), { dereference: true })
    const install = ['apt-get', 'install', '-qq', '--yes', '--no-install-recommends', ...packages]
    await run('chroot', [merged, '/usr/bin/env', 'DEBIAN_FRONTEND=noninteractive', ...install], options)
  }
  await whiteoutsAsFiles(upper)
  return upper
}

/** Overlay's way of saying "deleted" (character device 0:0, an xattr) becomes the layer's (image-spec layer.md, "Whiteouts"). */
async function whiteoutsAsFiles(upper: string): Promise<void> {
  for (const entry of await readdir(upper, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isCharacterDevice() && (await lstat(path)).rdev === 0) {
      await rm(path)
      await writeFile(join(entry.parentPath, `.wh.${entry.name}`), '')
    }
    if (entry.isDirectory() && isOpaque(path)) await writeFile(join(path, '.wh..wh..opq'), '')
  }
}

const isOpaque = (path: string): boolean => lgetxattr(cstr(path), cstr('trusted.overlay.opaque'), Buffer.alloc(1), 1) === 1

/** Packs a directory into a gzip layer named by its digest, reading both digests off the one stream. */
async function pack(dir: string, cache: string, { signal }: Abortable): Promise<Layer> {
  const excluded = ['./var/lib/apt/lists/*', './var/cache/apt/*', './proc/*', './sys/*']
  const tar = spawn(
    'tar',
    [
      ...['--create', '--format=posix', '--pax-option=delete=atime,delete=ctime', '--sort=name', '--numeric-owner'],
      ...['--xattrs', '--xattrs-include=*', '--xattrs-exclude=trusted.*', '--verbose'],
      ...excluded.map((pattern) => `--exclude=${pattern}`),
      ...['--directory', dir, '.'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], signal },
  )
  let entries = 0
  tar.stderr.on('data', (names: Buffer) => {
    for (const byte of names) if (byte === 10) entries++
  })
  const [plain, packed] = [meter(), meter()]
  const temporary = join(cache, 'layer.tmp')
  await pipeline(tar.stdout, plain.stream, createGzip({ level: 6 }), packed.stream, createWriteStream(temporary), { signal })
  const digest = packed.digest()
  await rename(temporary, join(cache, digest.slice('sha256:'.length)))
  return { digest, diffId: plain.digest(), size: packed.bytes(), unpackedSize: plain.bytes(), entries }
}

function meter(): { readonly stream: Transform; digest(): Digest; bytes(): number } {
  const hash = createHash('sha256')
  let bytes = 0
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      bytes += chunk.length
      done(null, chunk)
    },
  })
  return { stream, digest: () => digestOfHex(hash.digest('hex')), bytes: () => bytes }
}

function asImage(cache: string, made: readonly Layer[]): BenchImage {
  const config = JSON.stringify({
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: { Cmd: ['/bin/sh'], Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'] },
    rootfs: { type: 'layers', diff_ids: made.map((layer) => layer.diffId) },
  })
  const sum = (of: (layer: Layer) => number) => made.reduce((total, layer) => total + of(layer), 0)
  return {
    config,
    layers: made.map(({ digest }) => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      blob: { digest, file: join(cache, digest.slice('sha256:'.length)) },
    })),
    imageId: sha256(config),
    size: sum((layer) => layer.size),
    unpackedSize: sum((layer) => layer.unpackedSize),
    entries: sum((layer) => layer.entries),
  }
}

/** Pushes the image to a registry that keeps its data from one benchmark to the next, unless it is there already. */
export async function pushBenchImage(host: string, image: BenchImage, { signal }: Abortable): Promise<string> {
  const there = await fetch(`http://${host}/v2/${repository}/manifests/${tag(image)}`, {
    method: 'HEAD',
    headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    signal,
  })
  if (!there.ok) await pushImage({ host, repository }, tag(image), image)
  return `${host}/${repository}:${tag(image)}`
}

const repository = 'bench/debian'
/** Named by content, so that a rebuilt image is not mistaken for the one before. */
const tag = (image: BenchImage): string => image.imageId.slice('sha256:'.length, 'sha256:'.length + 12)
