/** A directory or a tar to a compressed layer in the cache, named by its digest. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip, createZstdCompress, constants as zlib } from 'node:zlib'
import { type Digest, digestOfHex } from '../../src/oci/digest.ts'
import type { Abortable } from '../../src/task/task.ts'
import type { PackedLayer } from './images.ts'

/** What image builds use where nobody says otherwise. */
const compressors = {
  gzip: () => createGzip({ level: 6 }),
  zstd: () => createZstdCompress({ params: { [zlib.ZSTD_c_compressionLevel]: 3 } }),
}
export type Compression = keyof typeof compressors

/** Packs a directory into a gzip layer. */
export async function pack(dir: string, cache: string, { signal }: Abortable): Promise<PackedLayer> {
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
  const layer = await compressed(tar.stdout, 'gzip', cache, { signal })
  return { ...layer, entries }
}

/** The same tar in zstd. */
export async function asZstd(layer: PackedLayer, cache: string, options: Abortable): Promise<PackedLayer> {
  const tar = createReadStream(blobFile(cache, layer.digest), { highWaterMark: 1 << 20 }).compose(createGunzip())
  const { digest, size } = await compressed(tar, 'zstd', cache, options)
  return { ...layer, digest, size }
}

export const blobFile = (cache: string, digest: Digest): string => join(cache, digest.slice('sha256:'.length))

/** Reads both digests off the one stream. */
async function compressed(
  tar: Readable,
  compression: Compression,
  cache: string,
  { signal }: Abortable,
): Promise<Omit<PackedLayer, 'entries'>> {
  const [plain, packed] = [meter(), meter()]
  const temporary = join(cache, `layer-${process.pid}.tmp`)
  await pipeline(tar, plain.stream, compressors[compression](), packed.stream, createWriteStream(temporary), { signal })
  const digest = packed.digest()
  await rename(temporary, blobFile(cache, digest))
  return { digest, diffId: plain.digest(), size: packed.bytes(), unpackedSize: plain.bytes() }
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
