/** Content of any size into containerd, piece by piece (content.proto, `Content.Write`). */
import type * as grpc from '@grpc/grpc-js'
import { z } from 'zod'
import type { ByteSink } from '../task/task.ts'
import { cancelled, metadataOf, rpcError } from './client.ts'
import { WriteAction } from './generated/containerd/services/content/v1/WriteAction.ts'
import type { CallOptions } from './services.ts'
import { RpcError } from './status.ts'

/** What is to be written; `ref` names the write while it is under way. */
export type ContentToWrite = { readonly ref: string; readonly digest: string; readonly size: number }

/**
 * Rejects with `RpcError`; content that is there already, at the start or meanwhile, is as good as written. The signal ends it, and so does
 * disposing it before `commit` has ended.
 */
export interface ContentWriter extends ByteSink, Disposable {
  /** That was all: containerd has checked size and digest when this resolves. */
  commit(): Promise<void>
}

const { COMMIT } = WriteAction
/** Every message is answered; the last one says what has become of it all. Enums arrive as their numbers. */
const commitAnswer = z.object({ action: z.literal(COMMIT), digest: z.string() })

/** How a write came to its end: with its last answer, or because another one of the same content was there first. */
type End =
  | { readonly kind: 'answered'; readonly last: unknown }
  | { readonly kind: 'there' }
  | { readonly kind: 'failed'; readonly error: unknown }

async function endOf(answers: AsyncIterable<unknown>): Promise<End> {
  try {
    let last: unknown
    for await (const answer of answers) last = answer
    return { kind: 'answered', last }
  } catch (thrown) {
    const error = rpcError(thrown)
    return error instanceof RpcError && error.code === 'ALREADY_EXISTS' ? { kind: 'there' } : { kind: 'failed', error }
  }
}

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
  let end: End | undefined
  /** Whoever waits for room: one promise for all of them. */
  let full: PromiseWithResolvers<void> | undefined
  const makeRoom = (): void => {
    full?.resolve()
    full = undefined
  }
  call.on('drain', makeRoom)
  const ended = endOf(call).then((how) => {
    end = how
    if (how.kind === 'failed') full?.reject(how.error)
    else makeRoom()
    return how
  })
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
  const room = (): Promise<void> => {
    full ??= Promise.withResolvers<void>()
    return full.promise
  }
  return {
    write(chunk) {
      if (end?.kind === 'failed') return Promise.reject(end.error)
      // Nobody wants the rest of it.
      if (end !== undefined) return undefined
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
      if (end === undefined) {
        send('COMMIT')
        call.end()
      }
      const how = await ended
      if (how.kind === 'failed') throw how.error
      if (how.kind === 'there') return
      const answer = commitAnswer.safeParse(how.last)
      if (answer.success && answer.data.digest === digest) return
      throw new RpcError('DATA_LOSS', 'the write ended, and nothing says that it is whole', undefined, undefined)
    },
    [Symbol.dispose]: () => {
      signal.removeEventListener('abort', cancel)
      call.cancel()
    },
  }
}
