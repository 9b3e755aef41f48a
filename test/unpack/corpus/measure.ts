/**
 * Unpacks a made-up layer in a process of its own and prints what it took, a line of JSON each:
 *
 *     ./scripts/run --max-semi-space-size=4 test/unpack/corpus/measure.ts dirs 1000000
 *
 * Several counts are unpacked one after the other. `rssMiB` is the most the process had resident above what it had before the layer.
 */
import { createHash } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOfHex, parseDiffId } from '../../../src/oci/digest.ts'
import { AT, cstr } from '../../../src/sys/libc.ts'
import { removeTree } from '../../../src/sys/tree.ts'
import { unpackLayer } from '../../../src/unpack/layer.ts'
import { blocksOf } from '../../../src/unpack/tar-blocks.ts'
import { type TarPart, tar } from '../../support/tar.ts'

/** The i-th of n members. */
const layers: Readonly<Record<string, (i: number, n: number) => TarPart>> = {
  dirs: (i) => ({ name: `d${i}/`, type: 'dir' }),
  scattered: (i) => ({ name: `a${i % 100}/b${i % 10_000}/d${i}/`, type: 'dir' }),
  implied: (i) => ({ name: `a${i % 100}/d${i}/f` }),
  files: (i) => ({ name: `a${i % 100}/f${i}`, content: 'x' }),
  // Half files, and half opaque marks of the directory they are all in, or of one of their own.
  opaque: (i) => ({ name: i % 2 === 0 ? `d/f${i}` : 'd/.wh..wh..opq' }),
  opaques: (i) => ({ name: i % 2 === 0 ? `d/d${i}/f` : `d/d${i - 1}/.wh..wh..opq` }),
  whiteouts: (i, n) => ({ name: i < n / 2 ? `d/.wh.${i}` : `d/d${i}/.wh..wh..opq` }),
  // Every file at the end of 250 directories, or of 250 symlinks.
  deep: (i) => ({ name: `${'d/'.repeat(250)}f${i}` }),
  chain: (i) =>
    i === 0
      ? { name: 's0/', type: 'dir' }
      : i < 250
        ? { name: `s${i}`, type: 'symlink', link: `s${i - 1}` }
        : { name: `s249/f${i}` },
  // A directory with ten files in it that becomes a file, again and again.
  replaced: (i) => (i % 12 === 0 ? { name: 'd/', type: 'dir' } : { name: i % 12 === 11 ? 'd' : `d/f${i}` }),
  // As above, but each time with ten directories in it.
  uprooted: (i) => (i % 12 === 0 ? { name: 'd/', type: 'dir' } : { name: i % 12 === 11 ? 'd' : `d/d${i}/f` }),
  links: (i) => (i === 0 ? { name: 'l0' } : { name: `l${i}`, type: 'hardlink', link: `l${i - (i % 60_000 === 0 ? 0 : 1)}` }),
}

const limits = { maxUnpackedSize: 2 ** 36, maxLayerEntries: 4_000_000, maxCompressionRatio: 1000, maxLayerMetadata: 2 ** 26 }

type Make = (i: number, n: number) => TarPart

function* archive(make: Make, n: number): Generator<Buffer> {
  for (let at = 0; at < n; at += 500)
    yield tar(
      Array.from({ length: Math.min(500, n - at) }, (_, i) => make(at + i, n)),
      { end: false },
    )
  yield Buffer.alloc(1024)
}

async function measure(layer: string, make: Make, n: number): Promise<object> {
  const hash = createHash('sha256')
  for (const block of archive(make, n)) hash.update(block)
  const diffId = parseDiffId(digestOfHex(hash.digest('hex')))
  const dir = mkdtempSync(join(tmpdir(), 'windlass-measure-'))
  const before = process.memoryUsage.rss()
  let peak = before
  const tar = archive(make, n)
  const chunks = (): Buffer | undefined => {
    peak = Math.max(peak, process.memoryUsage.rss())
    const next = tar.next()
    return next.done === true ? undefined : next.value
  }
  try {
    const start = performance.now()
    const cpu = process.cpuUsage()
    await using blocks = blocksOf(chunks, 0)
    const { entries } = unpackLayer({
      dir,
      diffId,
      bytes: { kind: 'tar', blocks, path: 'measure' },
      limits,
      writesBack: false,
      progress: () => {},
    })
    const { user, system } = process.cpuUsage(cpu)
    const ms = Math.round(performance.now() - start)
    const rssMiB = Math.round((Math.max(peak, process.memoryUsage.rss()) - before) / 2 ** 20)
    return { layer, entries, ms, cpuMs: Math.round((user + system) / 1000), rssMiB }
  } finally {
    removeTree(AT.FDCWD, cstr(dir))
  }
}

const [layer = '', ...counts] = process.argv.slice(2)
const make = layers[layer]
if (make === undefined || counts.length === 0) throw new Error(`usage: measure.ts ${Object.keys(layers).join('|')} COUNT…`)
process.umask(0)
for (const count of counts) console.log(JSON.stringify(await measure(layer, make, Number(count))))
