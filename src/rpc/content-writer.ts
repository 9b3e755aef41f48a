/** Content of any size into containerd, piece by piece (content.proto, `Content.Write`). */
import { once } from 'node:events'
import type * as grpc from '@grpc/grpc-js'
import type { ByteSink } from '../task/task.ts'
import { cancelled, metadataOf, rpcError } from './client.ts'
import type { CallOptions } from './services.ts'

/** What is to be written; `ref` names the write while it is under way. */
export type ContentToWrite = { readonly ref: string; readonly digest: string; readonly size: number }

/** Rejects with `RpcError`. Disposing it before `commit` has ended breaks the write off. */
export interface ContentWriter extends ByteSink, Disposable {
  /** That was all: containerd has checked size and digest when this resolves. One that is there already is as good. */
  commit(): Promise<void>
}

/** A message has its price, and chunks from the network are small. */
const PIECE = 2 ** 20

export function contentWriter(
  client: grpc.Client,
  { path, requestSerialize, responseDeserialize }: grpc.MethodDefinition<unknown, unknown>,
  { ref, digest, size }: ContentToWrite,
  options: CallOptions,
): ContentWriter {
  const { signal } = options
  if (signal.aborted) throw cancelled(signal.reason)
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadataOf(options), {})
  const cancel = (): void => call.cancel()
  signal.addEventListener('abort', cancel, { once: true })
  const ended = (async () => {
    // Every message is answered; that the stream ends well is the answer that counts.
    for await (const _progress of call);
  })().catch((error: unknown) => {
    throw rpcError(error)
  })
  // Whoever writes next hears of it.
  ended.catch(() => {})
  let piece = Buffer.allocUnsafe(PIECE)
  let filled = 0
  let offset = 0

  const send = (action: 'WRITE' | 'COMMIT'): boolean => {
    const data = piece.subarray(0, filled)
    const isTaken = call.write({ action, ref, total: size, expected: digest, offset, data })
    offset += filled
    // The message keeps the old one until it is sent.
    piece = Buffer.allocUnsafe(PIECE)
    filled = 0
    return isTaken
  }
  const room = async (): Promise<void> => {
    await Promise.race([once(call, 'drain', { signal }), ended])
  }
  return {
    write(chunk) {
      let isTaken = true
      for (let at = 0; at < chunk.length; ) {
        const some = chunk.subarray(at, at + PIECE - filled)
        piece.set(some, filled)
        filled += some.length
        at += some.length
        if (filled === PIECE) isTaken = send('WRITE')
      }
      return isTaken ? undefined : room()
    },
    async commit() {
      send('COMMIT')
      call.end()
      await ended
    },
    [Symbol.dispose]: () => {
      signal.removeEventListener('abort', cancel)
      call.cancel()
    },
  }
}
