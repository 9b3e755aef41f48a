/**
 * Gzip at its fastest, for tar-split: through ISA-L (libisal.so.2) where it is, else zlib's level 1. The sizes are alike, and of a layer of
 * small files zlib took a tenth of the time.
 */
import { gunzipSync, gzipSync } from 'node:zlib'
import koffi from 'koffi'
import { openIsal } from '../isal.ts'

type Gzip = (bytes: Uint8Array) => Uint8Array
type Library = { init(stream: Uint8Array): void; deflate(stream: Uint8Array): number }

// struct isal_zstream (isa-l/igzip_lib.h, ABI 2); with its window and tables about 84 KiB, of which we allocate more than any 2.x needs.
const STREAM_SIZE = 2 ** 18
const NEXT_IN = 0
const AVAIL_IN = 8
const NEXT_OUT = 16
const AVAIL_OUT = 24
const LEVEL = 40
const LEVEL_BUFFER_SIZE = 44
const LEVEL_BUFFER = 48
const END_OF_STREAM = 56
const GZIP_FLAG = 60
const IGZIP_GZIP = 1
/** ISAL_DEF_LVL1_EXTRA_LARGE is about half of that. */
const LEVEL_BUFFER_BYTES = 2 ** 19
/** Where nothing compresses: five bytes for each 64 KiB, and gzip's own 18. */
const mostOf = (length: number): number => length + (length >> 12) + 1024

const zlibGzip: Gzip = (bytes) => gzipSync(bytes, { level: 1 })

let chosen: Gzip | undefined

/** One gzip member, which stays valid until the next call. */
export function gzip(bytes: Uint8Array): Uint8Array {
  chosen ??= choose()
  return chosen(bytes)
}

function choose(): Gzip {
  const library = open()
  if (library === undefined) return zlibGzip
  const gzip = isalGzip(library)
  // The offsets above are those of the ABI we know; a library laid out otherwise is not used.
  const known = Buffer.from('windlass '.repeat(40))
  return isSame(known, gzip(known)) ? gzip : zlibGzip
}

function open(): Library | undefined {
  const isal = openIsal()
  if (isal === undefined) return undefined
  return {
    init: isal.func('isal_deflate_stateless_init', 'void', ['void *']),
    deflate: isal.func('isal_deflate_stateless', 'int', ['void *']),
  }
}

function isalGzip(library: Library): Gzip {
  const [stream, levelBuffer] = [Buffer.alloc(STREAM_SIZE), Buffer.alloc(LEVEL_BUFFER_BYTES)]
  let out = Buffer.allocUnsafeSlow(0)
  return (bytes) => {
    if (out.length < mostOf(bytes.length)) out = Buffer.allocUnsafeSlow(mostOf(bytes.length))
    library.init(stream)
    stream.writeBigUInt64LE(koffi.address(bytes), NEXT_IN)
    stream.writeUInt32LE(bytes.length, AVAIL_IN)
    stream.writeBigUInt64LE(koffi.address(out), NEXT_OUT)
    stream.writeUInt32LE(out.length, AVAIL_OUT)
    stream.writeUInt32LE(1, LEVEL)
    stream.writeUInt32LE(levelBuffer.length, LEVEL_BUFFER_SIZE)
    stream.writeBigUInt64LE(koffi.address(levelBuffer), LEVEL_BUFFER)
    stream.writeUInt16LE(1, END_OF_STREAM)
    stream.writeUInt16LE(IGZIP_GZIP, GZIP_FLAG)
    if (library.deflate(stream) !== 0) return zlibGzip(bytes)
    return out.subarray(0, out.length - stream.readUInt32LE(AVAIL_OUT))
  }
}

function isSame(bytes: Buffer, member: Uint8Array): boolean {
  try {
    return gunzipSync(member).equals(bytes)
  } catch {
    return false
  }
}
