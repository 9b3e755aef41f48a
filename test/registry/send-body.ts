/** Sends a blob, or a part of it, as slowly and as badly as a test wants. */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

/** What is served: bytes in memory, or a file for what is too big for it. */
export type Body = { readonly bytes: Uint8Array } | { readonly file: string; readonly size: number }

export const sizeOf = (body: Body): number => ('bytes' in body ? body.bytes.length : body.size)

/** How one answer goes wrong. Offsets count the bytes of this answer's body. */
export type BodyFault =
  /** The connection is cut after so many bytes. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** The same, by a reset: what the other side has not read yet is lost to it. */
  | { readonly kind: 'reset'; readonly afterBytes: number }
  /** Nothing more comes after so many bytes until `until` resolves. */
  | { readonly kind: 'stall'; readonly afterBytes: number; readonly until: Promise<void> }
  /** The byte at this offset is inverted. */
  | { readonly kind: 'corrupt'; readonly at: number }

export type Sending = {
  readonly from: number
  readonly end: number
  readonly bytesPerSecond: number | undefined
  readonly fault: BodyFault | undefined
}

const CHUNK = 1 << 18

async function* chunksOf(body: Body, { from, end }: Sending): AsyncGenerator<Uint8Array> {
  if ('file' in body) {
    yield* createReadStream(body.file, { start: from, end: end - 1, highWaterMark: CHUNK })
    return
  }
  for (let at = from; at < end; at += CHUNK) yield body.bytes.subarray(at, Math.min(end, at + CHUNK))
}

/** Pieces no larger than a twentieth of a second at the wanted rate, and cut where the fault strikes. */
function* pieces(chunk: Uint8Array, sent: number, { bytesPerSecond, fault }: Sending): Generator<Uint8Array> {
  const step = bytesPerSecond === undefined ? chunk.length : Math.max(1, Math.floor(bytesPerSecond / 20))
  const strike = fault === undefined || fault.kind === 'corrupt' ? Number.POSITIVE_INFINITY : fault.afterBytes - sent
  for (let at = 0; at < chunk.length; ) {
    const end = Math.min(at + step, chunk.length, at < strike ? Math.max(strike, at + 1) : Number.POSITIVE_INFINITY)
    yield chunk.subarray(at, end)
    at = end
  }
}

function corrupted(chunk: Uint8Array, sent: number, at: number): Uint8Array {
  if (at < sent || at >= sent + chunk.length) return chunk
  const copy = Uint8Array.from(chunk)
  copy[at - sent] = (copy[at - sent] ?? 0) ^ 0xff
  return copy
}

/** Closes the connection once what was written so far is on its way, so that the other side sees exactly that. */
const cut = (response: ServerResponse): void => response.socket?.destroySoon()

/** Writes the body after the headers are set; ends the response, or cuts it as the fault says. */
export async function sendBody(response: ServerResponse, body: Body, sending: Sending): Promise<void> {
  const { fault, bytesPerSecond } = sending
  const closed = new AbortController()
  const gone = once(closed.signal, 'abort')
  response.once('close', () => closed.abort())
  let sent = 0
  response.flushHeaders()
  for await (const chunk of chunksOf(body, sending)) {
    for (const piece of pieces(chunk, sent, sending)) {
      if (fault?.kind === 'cut' && sent >= fault.afterBytes) return cut(response)
      if (fault?.kind === 'reset' && sent >= fault.afterBytes) return void response.socket?.resetAndDestroy()
      if (fault?.kind === 'stall' && sent >= fault.afterBytes) await Promise.race([fault.until, gone])
      if (closed.signal.aborted) return
      const started = performance.now()
      if (!response.write(fault?.kind === 'corrupt' ? corrupted(piece, sent, fault.at) : piece)) {
        await once(response, 'drain', { signal: closed.signal }).catch(() => undefined)
      }
      sent += piece.length
      if (bytesPerSecond !== undefined)
        await delay(Math.max(0, (piece.length / bytesPerSecond) * 1000 - (performance.now() - started)))
    }
  }
  if (fault?.kind === 'cut') return cut(response)
  response.end()
}
