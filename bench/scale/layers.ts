/** Layers of any size, in files: gzip members one after the other (RFC 1952 §2.2), none of which is ever in memory with another. */
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { type Digest, digestOfHex } from '../../src/oci/digest.ts'
import { tar } from '../../test/support/tar.ts'

export type LayerFile = { readonly file: string; readonly digest: Digest; readonly size: number; readonly diffId: Digest }

const PIECE = 4 * 1024 * 1024
const PIECES_A_FILE = 240
const FILES_A_MEMBER = 1_000

class LayerWriter implements Disposable {
  readonly #file: string
  readonly #fd: number
  readonly #blob = createHash('sha256')
  readonly #tar = createHash('sha256')
  #size = 0

  constructor(file: string) {
    this.#file = file
    this.#fd = openSync(file, 'w')
  }

  /** `packed` where the caller has it already. */
  add(plain: Buffer, packed: Buffer = gzipSync(plain, { level: 1 })): void {
    this.#tar.update(plain)
    this.#blob.update(packed)
    for (let at = 0; at < packed.length; ) at += writeSync(this.#fd, packed, at)
    this.#size += packed.length
  }

  end(): LayerFile {
    this.add(Buffer.alloc(1024))
    // Or the kernel would write it back while it is pulled.
    fsyncSync(this.#fd)
    const [digest, diffId] = [this.#blob, this.#tar].map((hash) => digestOfHex(hash.digest('hex')))
    if (digest === undefined || diffId === undefined) throw new Error('there are two digests')
    return { file: this.#file, digest, diffId, size: this.#size }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}

/** So many bytes in files of at most 1 GB, half of which can be compressed. */
export function layerOfBytes(file: string, bytes: number): LayerFile {
  using writer = new LayerWriter(file)
  const piece = Buffer.alloc(PIECE)
  for (let at = 0; at < PIECE; at += 2 * 65_536) randomBytes(65_536).copy(piece, at)
  const packed = gzipSync(piece, { level: 1 })
  const pieces = Math.max(1, Math.round(bytes / PIECE))
  for (let from = 0, name = 0; from < pieces; from += PIECES_A_FILE, name++) {
    const count = Math.min(PIECES_A_FILE, pieces - from)
    writer.add(tar([{ name: `large-${name}`, size: count * PIECE }], { end: false }))
    for (let at = 0; at < count; at++) writer.add(piece, packed)
  }
  return writer.end()
}

/** So many files of 1 KB, 1,000 in a directory. */
export function layerOfFiles(file: string, files: number): LayerFile {
  using writer = new LayerWriter(file)
  const content = randomBytes(1024).toString('hex').slice(0, 1024)
  for (let from = 0; from < files; from += FILES_A_MEMBER) {
    const dir = `d${from / FILES_A_MEMBER}`
    const names = Array.from({ length: Math.min(FILES_A_MEMBER, files - from) }, (_, at) => ({ name: `${dir}/f${at}`, content }))
    writer.add(tar([{ name: `${dir}/`, type: 'dir' }, ...names], { end: false }))
  }
  return writer.end()
}
