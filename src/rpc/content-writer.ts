/** Content of any size into containerd, piece by piece (content.proto, `Content.Write`). */
import { once } from 'node:events'
import type * as grpc from '@grpc/grpc-js'
import { z } from 'zod'
import type { ByteSink } from '../task/task.ts'
import { cancelled, metadataOf, rpcError } from './client.ts'
import { WriteAction } from './generated/containerd/services/content/v1/WriteAction.ts'
import type { CallOptions } from './services.ts'
import { RpcError } from './status.ts'

/** What is to be written; `ref` names the write while it is under way. */
export type ContentToWrite = { readonly ref: string; readonly digest: string; readonly size: number }

/** Rejects with `RpcError`. Disposing it before `commit` has ended breaks the write off. */
export interface ContentWriter extends ByteSink, Disposable {
  /** That was all: containerd has checked size and digest when this resolves. One that is there already is as good. */
  commit(): Promise<void>
}

const { COMMIT } = WriteAction
/** Every message is answered; the last one says what has become of it all. Enums arrive as their numbers. */
const commitAnswer = z.object({ action: z.literal(COMMIT), digest: z.string() })

/** A message has its price, and chunks from the network are small. */
const PIECE = 2 ** 18

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
    let last: unknown
    for await (const answer of call) last = answer
    return last
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
    const drained = once(call, 'drain', { signal }).catch((error: unknown) => {
      throw rpcError(error)
    })
    await Promise.race([drained, ended])
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
      const answer = commitAnswer.safeParse(await ended)
      if (answer.success && answer.data.digest === digest) return
      throw new RpcError('DATA_LOSS', 'the write ended, and nothing says that it is whole', undefined, undefined)
    },
    [Symbol.dispose]: () => {
      signal.removeEventListener('abort', cancel)
      call.cancel()
    },
  }
}
