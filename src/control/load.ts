/** `Load`: a pull whose bytes the caller has. What is needed is asked for piece by piece; the daemon opens nothing itself. */
import type { OpenedImage } from '../archive/archive.ts'
import { MAX_DOCUMENT } from '../archive/read-document.ts'
import { repositoryOf } from '../archive/repository.ts'
import { fail, WindlassError } from '../failure/failure.ts'
import { parseDigest } from '../oci/digest.ts'
import { wantedPlatform } from '../platform/wanted.ts'
import type { OnPullEvent, PullRequest, Told } from '../pull/pull.ts'
import { parseReference } from '../reference/parse.ts'
import type { LoadRequest__Output } from '../rpc/generated/windlass/v1/LoadRequest.ts'
import type { LoadResponse } from '../rpc/generated/windlass/v1/LoadResponse.ts'
import type { LoadStart__Output } from '../rpc/generated/windlass/v1/LoadStart.ts'
import { unlessAborted } from '../task/flights.ts'
import type { Abortable } from '../task/task.ts'
import { createMailbox, slotOfProgress } from './mailbox.ts'
import { toldMessage } from './messages.ts'

type Pull = (request: PullRequest, options: Abortable & { readonly onEvent: OnPullEvent }) => Promise<void>
type Reply = Told | { readonly wanted: LoadResponse['wanted'] }

/** A piece is read from a disk. Others, kubelet's pulls too, wait for the layer it is of, and for the pull's place among those that may run. */
const PATIENCE_MS = 30_000
/** As long as a path may be (PATH_MAX); it goes into every report of the pull. */
const MAX_NAME = 4_096

/** Answers one call. Throws what a pull does, bad-archive for a piece that does not come, and invalid-argument for requests out of turn. */
export async function* loadFrom(
  requests: AsyncIterable<LoadRequest__Output>,
  pull: Pull,
  { signal, patienceMs = PATIENCE_MS }: Abortable & { readonly patienceMs?: number },
): AsyncGenerator<LoadResponse> {
  const left = new AbortController()
  const options = { signal: AbortSignal.any([signal, left.signal]) }
  const incoming = requests[Symbol.asyncIterator]()
  const first = await unlessAborted(incoming.next(), signal)
  const start = first.done === true ? undefined : (first.value.start ?? undefined)
  if (start === undefined) return fail({ kind: 'invalid-argument', what: 'request', reason: 'the first one must be start' })
  const { archive } = start
  if (Buffer.byteLength(archive) > MAX_NAME)
    fail({ kind: 'invalid-argument', what: 'archive', reason: `its name is longer than ${MAX_NAME} bytes` })
  const replies = createMailbox<Reply>((reply) => ('event' in reply ? slotOfProgress(reply.event) : undefined))
  const pieces = new Pieces(archive, patienceMs, (wanted) => replies.put({ wanted }))
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
  replies.endWith(pull(request, { ...options, onEvent: (event, atMs) => replies.put({ event, atMs }) }))
  try {
    for await (const reply of replies) yield 'event' in reply ? { event: toldMessage(reply) } : { wanted: reply.wanted ?? null }
  } finally {
    left.abort()
  }
}

function rootOf({ root }: LoadStart__Output): OpenedImage['root'] {
  const { descriptor, content } = root ?? {}
  if (!descriptor || content === undefined)
    return fail({ kind: 'invalid-argument', what: 'start', reason: 'it lacks the document that the image begins with' })
  const { mediaType, size } = descriptor
  if (content.length > MAX_DOCUMENT)
    fail({ kind: 'invalid-argument', what: 'start', reason: `its document has more than ${MAX_DOCUMENT} bytes` })
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
  readonly #archive: string
  readonly #patienceMs: number
  readonly #ask: (wanted: NonNullable<LoadResponse['wanted']>) => void
  readonly #waiting = new Map<number, Waiting>()
  #next = 1

  constructor(archive: string, patienceMs: number, ask: (wanted: NonNullable<LoadResponse['wanted']>) => void) {
    this.#archive = archive
    this.#patienceMs = patienceMs
    this.#ask = ask
  }

  async read(digest: string, offset: number, length: number, { signal }: Abortable): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    const id = this.#next++
    this.#waiting.set(id, { length, resolve, reject })
    const timer = setTimeout(() => reject(this.#tooLate()), this.#patienceMs)
    this.#ask({ id, digest, offset, length })
    try {
      return await unlessAborted(promise, signal)
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(id)
    }
  }

  #tooLate(): WindlassError {
    const reason = `whoever loads it has not sent a piece of it within ${this.#patienceMs / 1000} s; run windlass load again`
    return new WindlassError({ kind: 'bad-archive', archive: this.#archive, reason })
  }

  take(id: number, content: Uint8Array): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    if (content.length <= waiting.length) waiting.resolve(content)
    else waiting.reject(new RangeError(`a piece of ${content.length} bytes where ${waiting.length} were asked for`))
  }
}
