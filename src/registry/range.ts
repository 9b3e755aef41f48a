/**
 * Where an answer's bytes lie in a blob (RFC 9110 §14.4, §8.8.3). Strict, for wrong bytes are found out only at the very end, and what the
 * unpacker has had cannot be taken back.
 */
import { crc32 } from 'node:zlib'
import type { Head } from './exchange.ts'
import { contentEncoding } from './resolve.ts'

/** Bytes of a blob, from the first up to the end, which is not among them. */
export type Span = { readonly from: number; readonly end: number }

/** Where the answer begins, or why it is of no use; `size` where that is what is wrong. */
export type Placement = { readonly from: number } | { readonly unfit: string; readonly size?: number }

/** Reads the head of a 2xx answer; `asked` is the span of the Range that was sent, if one was. */
export function placementOf({ status, headers }: Head, size: number, asked: Span | undefined): Placement {
  const encoding = contentEncoding(headers)
  if (encoding !== undefined) return { unfit: `it sends the blob ${encoding}-encoded, and was not asked to` }
  const length = headers['content-length'] === undefined ? undefined : Number(headers['content-length'])
  if (status === 200)
    return length === undefined || length === size ? { from: 0 } : { unfit: `it has ${length} bytes of ${size}`, size: length }
  if (status !== 206 || asked === undefined) return { unfit: `it answered ${status} where 200 was expected` }
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers['content-range'] ?? '')
  const [, first, last, total] = range ?? []
  const isAsked = Number(first) === asked.from && Number(last) === asked.end - 1 && (total === '*' || Number(total) === size)
  if (!isAsked) return { unfit: 'its Content-Range is not the range that was asked for' }
  if (length !== undefined && length !== asked.end - asked.from) return { unfit: 'its Content-Length is not that of its range' }
  return { from: asked.from }
}

/** What a range of one answer and the rest of another are known by as parts of one thing. */
export class Validators {
  readonly #etags = new Map<string, string>()

  /** Remembers what whoever answers calls this blob; false where it is not what they called it before. Weak ones say nothing of bytes. */
  agrees({ origin, headers }: Head): boolean {
    const { etag } = headers
    if (etag === undefined || etag.startsWith('W/')) return true
    const before = this.#etags.get(origin)
    this.#etags.set(origin, etag)
    return before === undefined || before === etag
  }
}

/** More of a blob is not compared: another thing differs at its beginning, and the digest tells of everything else. */
const COMPARED = 1024 * 1024

/** The beginning of a blob, by which an answer that is to be passed over is seen to be the same. */
export class Beginning {
  #length = 0
  #crc = 0

  /** The next bytes of the blob. */
  add(chunk: Uint8Array): void {
    if (this.#length === COMPARED) return
    const part = chunk.subarray(0, COMPARED - this.#length)
    this.#crc = crc32(part, this.#crc)
    this.#length += part.length
  }

  /** Takes the same bytes once more, in order; false as soon as they are known to be others. */
  comparison(): (chunk: Uint8Array) => boolean {
    let [length, crc] = [0, 0]
    const [want, end] = [this.#crc, this.#length]
    return (chunk) => {
      if (length === end) return true
      const part = chunk.subarray(0, end - length)
      crc = crc32(part, crc)
      length += part.length
      return length < end || crc === want
    }
  }
}
