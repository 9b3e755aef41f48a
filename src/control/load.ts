/** `Load`: a pull whose bytes the caller has. What is needed is asked for piece by piece; the daemon opens nothing itself. */
import type { OpenedImage } from '../archive/archive.ts'
import { repositoryOf } from '../archive/repository.ts'
import { fail } from '../failure/failure.ts'
import { parseDigest } from '../oci/digest.ts'
import { wantedPlatform } from '../platform/wanted.ts'
import type { PullEvent, PullRequest } from '../pull/pull.ts'
import { parseReference } from '../reference/parse.ts'
import type { LoadRequest__Output } from '../rpc/generated/windlass/v1/LoadRequest.ts'
import type { LoadResponse } from '../rpc/generated/windlass/v1/LoadResponse.ts'
import type { LoadStart__Output } from '../rpc/generated/windlass/v1/LoadStart.ts'
import { unlessAborted } from '../task/flights.ts'
import type { Abortable } from '../task/task.ts'
import { createMailbox, slotOfProgress } from './mailbox.ts'
import { eventMessage } from './messages.ts'

type Pull = (request: PullRequest, options: Abortable & { readonly onEvent: (event: PullEvent) => void }) => Promise<void>
type Reply = { readonly event: PullEvent } | { readonly wanted: LoadResponse['wanted'] }

/** Answers one call. Throws what a pull does, and invalid-argument for requests out of turn. */
export async function* loadFrom(
  requests: AsyncIterable<LoadRequest__Output>,
  pull: Pull,
  { signal }: Abortable,
): AsyncGenerator<LoadResponse> {
  const left = new AbortController()
  const options = { signal: AbortSignal.any([signal, left.signal]) }
  const incoming = requests[Symbol.asyncIterator]()
  const first = await unlessAborted(incoming.next(), signal)
  const start = first.done === true ? undefined : (first.value.start ?? undefined)
  if (start === undefined) return fail({ kind: 'invalid-argument', what: 'request', reason: 'the first one must be start' })
  const replies = createMailbox<Reply>((reply) => ('event' in reply ? slotOfProgress(reply.event) : undefined))
  const pieces = new Pieces((wanted) => replies.put({ wanted }))
  const receive = async (): Promise<void> => {
    for (let next = await incoming.next(); next.done !== true; next = await incoming.next()) {
      const { piece } = next.value
      if (piece) pieces.take(piece.id, piece.content)
    }
  }
  receive().then(
    () => left.abort(),
    () => left.abort(),
  )
  const image: OpenedImage = { root: rootOf(start), blobs: pieces }
  const request = requestOf(start, image)
  replies.endWith(pull(request, { ...options, onEvent: (event) => replies.put({ event }) }))
  try {
    for await (const reply of replies)
      yield 'event' in reply ? { event: eventMessage(reply.event) } : { wanted: reply.wanted ?? null }
  } finally {
    left.abort()
  }
}

function rootOf({ root }: LoadStart__Output): OpenedImage['root'] {
  const { descriptor, content } = root ?? {}
  if (!descriptor || content === undefined)
    return fail({ kind: 'invalid-argument', what: 'start', reason: 'it lacks the document that the image begins with' })
  const { mediaType, size } = descriptor
  return { descriptor: { mediaType, digest: parseDigest(descriptor.digest), size }, bytes: content }
}

/** Throws invalid-reference, invalid-argument. */
function requestOf({ reference: text, platform, archive }: LoadStart__Output, image: OpenedImage): PullRequest {
  const reference = parseReference(text)
  return {
    reference,
    credentials: { kind: 'anonymous' },
    client: 'control',
    source: repositoryOf(image, reference, archive),
    ...(platform === '' ? {} : { platform: wantedPlatform(platform) }),
  }
}

type Waiting = { readonly length: number; resolve(content: Uint8Array): void; reject(error: unknown): void }

/** What has been asked for and not come yet. What nobody asked for is dropped. */
class Pieces {
  readonly #ask: (wanted: NonNullable<LoadResponse['wanted']>) => void
  readonly #waiting = new Map<number, Waiting>()
  #next = 1

  constructor(ask: (wanted: NonNullable<LoadResponse['wanted']>) => void) {
    this.#ask = ask
  }

  async read(digest: string, offset: number, length: number, { signal }: Abortable): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    const id = this.#next++
    this.#waiting.set(id, { length, resolve, reject })
    this.#ask({ id, digest, offset, length })
    try {
      return await unlessAborted(promise, signal)
    } finally {
      this.#waiting.delete(id)
    }
  }

  take(id: number, content: Uint8Array): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    if (content.length <= waiting.length) waiting.resolve(content)
    else waiting.reject(new RangeError(`a piece of ${content.length} bytes where ${waiting.length} were asked for`))
  }
}
