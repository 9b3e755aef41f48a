/**
 * The ImageService of a node with a runtime. Pulls are ours; everything else is the runtime's to say, because it is the one that starts
 * containers: its calls pass as bytes, so that fields only a newer kubelet and runtime know survive both ways.
 */
import { fail, failureOf, WindlassError } from '../failure/failure.ts'
import { hexOf } from '../oci/digest.ts'
import type { Log } from '../pull/log.ts'
import type { Puller } from '../pull/pull.ts'
import { parseReference } from '../reference/parse.ts'
import { type ImageMethod, imageCodec, imagePath } from '../rpc/codec.ts'
import type { PullImageRequest__Output } from '../rpc/generated/runtime/v1/PullImageRequest.ts'
import type { ImageHandlers, RawContext, RawService, Service } from '../rpc/services.ts'
import { ForeignStatus } from '../rpc/status.ts'
import type { Repeatable, Upstream } from '../rpc/upstream.ts'
import { obstacleFor } from '../runtime/obstacle.ts'
import type { Passthrough } from '../runtime/passthrough.ts'
import type { RuntimeFacts, RuntimeKind } from '../runtime/runtime.ts'
import type { StoredImage } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import { credentialsOf } from './auth.ts'
import { type ForwardReason, mayForward } from './forwardable.ts'
import { statusOf } from './status.ts'
import { type Images, pullToStay, staysByName } from './stays.ts'

export type RuntimeImageParts = {
  readonly runtime: RuntimeKind
  readonly upstream: Upstream
  readonly passthrough: Passthrough
  /** Our own path, or why there is none just now. */
  readonly own: () => OwnPath | { readonly missing: string }
  /** Told of every pull that is handed on, for the count; must not throw. */
  readonly onForwarded: (reason: ForwardReason) => void
  readonly log: Log
}

/** How images are pulled by us. */
export type OwnPath = {
  readonly puller: Pick<Puller, 'pull'>
  /** What the runtime said of itself last. */
  readonly facts: RuntimeFacts
  readonly failurePolicy: 'Forward' | 'Fail'
  /** The ImageService over a store of our own that the runtime reads beside its own (CRI-O's additional store). */
  readonly store?: Service<ImageHandlers>
  /** Waits until the runtime knows the image, where the store itself has not. Throws runtime, cancelled. */
  readonly confirm?: (imageRef: string, options: Abortable) => Promise<void>
  /** Where images that were pulled ahead may go by themselves. */
  readonly images?: Images
}

export function createRuntimeImageService(parts: RuntimeImageParts): RawService<ImageHandlers> {
  const { upstream, passthrough, log } = parts
  const hand = (method: ImageMethod, options: Repeatable) => {
    const path = imagePath(method)
    return (request: Buffer, call: RawContext): Promise<Buffer> => upstream.unary(path, request, call, options)
  }
  /** These look and change nothing. */
  const ask = (method: 'listImages' | 'imageStatus' | 'imageFsInfo') => hand(method, { repeatable: true })
  const [askFsInfo, handRemoval, handPull] = [ask('imageFsInfo'), hand('removeImage', {}), hand('pullImage', {})]
  const handPullOn = async (why: Why, bytes: Buffer, call: RawContext): Promise<Buffer> => {
    const answer = await handOn(parts, why, () => handPull(bytes, call))
    const path = parts.own()
    const name = requestIn(imageCodec('pullImage'), bytes)?.image?.image
    if (!passthrough.state().on && !('missing' in path) && name !== undefined) await staysByName(path.images, name, log)
    return answer
  }
  const streamPath = imagePath('streamImages')
  /** Our own store, where there is one beside the runtime's, and it is open. */
  const ours = (): Service<ImageHandlers> | undefined => {
    const own = parts.own()
    return passthrough.state().on || 'missing' in own ? undefined : own.store
  }
  return {
    raw: {
      listImages: ask('listImages'),
      imageStatus: ask('imageStatus'),
      streamImages: (request, call) => upstream.stream(streamPath, request, call, { repeatable: true }),
      async imageFsInfo(bytes, call) {
        const store = ours()
        if (store === undefined) return await askFsInfo(bytes, call)
        try {
          return await parsed(imageCodec('imageFsInfo'), store.handlers.imageFsInfo)(bytes, call)
        } catch (error) {
          // kubelet does not start without an answer, and the runtime has one.
          log.warn({ err: error }, 'the use of our own disk cannot be told; the runtime tells its own')
          return await askFsInfo(bytes, call)
        }
      },
      async removeImage(bytes, call) {
        const store = ours()
        if (store === undefined) return await handRemoval(bytes, call)
        return await removeBoth(store, bytes, call, () => handRemoval(bytes, call), log)
      },
      async pullImage(bytes, call) {
        const own = ownFor(parts, bytes)
        if ('reason' in own) return await handPullOn(own, bytes, call)
        try {
          const { imageRef } = await pullToStay(own.path.images, () => pullOurs(parts.runtime, own, call), log)
          return imageCodec('pullImage').response({ imageRef })
        } catch (error) {
          const failure = failureOf(error)
          if (own.path.failurePolicy === 'Fail' || call.signal.aborted) throw error
          // Nobody has left: our path was closed under the pull.
          const isClosed = failure.kind === 'cancelled' && failure.reason === 'shutdown'
          if (!isClosed && !mayForward(failure)) throw error
          return await handPullOn({ reason: isClosed ? 'not-ready' : failure.kind, error }, bytes, call)
        }
      },
    },
    statusOf,
  }
}

/**
 * Ours first: the runtime may not delete from our store, and refuses or ignores what it finds only there. Whatever becomes of ours, the
 * runtime is asked too, because a node short of space needs both. The image is gone if either of them had it.
 */
async function removeBoth(
  { handlers }: Service<ImageHandlers>,
  bytes: Buffer,
  call: RawContext,
  theirs: () => Promise<Buffer>,
  log: Log,
): Promise<Buffer> {
  const codec = imageCodec('removeImage')
  const removeOurs = async (): Promise<boolean> => {
    const { image } = requestIn(codec, bytes) ?? { image: null }
    if (image === null || image.image === '') return false
    // Our layers are the same for every handler.
    const request = { image: { ...image, runtimeHandler: '' } }
    const { image: found } = await handlers.imageStatus({ ...request, verbose: false }, call)
    if (found == null) return false
    await handlers.removeImage(request, call)
    return true
  }
  const [ours] = await Promise.allSettled([removeOurs()])
  const had = ours.status === 'fulfilled' && ours.value
  try {
    const answer = await theirs()
    // What is no name to us was for the runtime to judge.
    if (ours.status === 'rejected' && failureOf(ours.reason).kind !== 'invalid-reference') throw ours.reason
    return answer
  } catch (error) {
    if (!had || !(error instanceof ForeignStatus)) throw error
    log.info({ err: error }, 'removed here; the runtime has no such image to remove')
    return codec.response({})
  }
}

/** Undefined for bytes that are no such message. */
function requestIn<Request>(codec: { request(bytes: Buffer): Request }, bytes: Buffer): Request | undefined {
  try {
    return codec.request(bytes)
  } catch {
    return undefined
  }
}

/** A handler of messages as one of bytes. */
function parsed<Request, Response>(
  codec: { request(bytes: Buffer): Request; response(message: Response): Buffer },
  handler: (request: Request, call: RawContext) => Promise<Response>,
): (bytes: Buffer, call: RawContext) => Promise<Buffer> {
  return async (bytes, call) => codec.response(await handler(codec.request(bytes), call))
}

/** Why a pull is handed on: a word for the counter, and what a person should know. */
type Why = { readonly reason: ForwardReason } & ({ readonly text: string } | { readonly error: unknown })

/** A pull that is for us. */
type OurPull = { readonly path: OwnPath; readonly request: PullImageRequest__Output }

/** Our path, or why this pull is not for us, before anything is tried. */
function ownFor({ passthrough, own }: RuntimeImageParts, bytes: Buffer): OurPull | Why {
  const state = passthrough.state()
  if (state.on) return { reason: 'passthrough', text: state.reason }
  const path = own()
  if ('missing' in path) return { reason: 'not-ready', text: path.missing }
  const request = requestIn(imageCodec('pullImage'), bytes)
  if (request === undefined) return { reason: 'unreadable', text: 'the request cannot be read here' }
  const obstacle = obstacleFor(path.facts, handlerOf(request))
  return obstacle ?? { path, request }
}

/** The handler whose snapshotter containerd would take: since 1.7 it goes by an annotation of the pod. */
function handlerOf({ image, sandboxConfig }: PullImageRequest__Output): string {
  return sandboxConfig?.annotations['io.containerd.cri.runtime-handler'] ?? image?.runtimeHandler ?? ''
}

async function pullOurs(
  runtime: RuntimeKind,
  { path: { puller, confirm }, request: { image, auth } }: OurPull,
  { signal, traceparent }: RawContext,
): Promise<{ readonly image: StoredImage; readonly imageRef: string }> {
  if (image === null || image.image === '')
    fail({ kind: 'invalid-argument', what: 'image', reason: 'the request names no image' })
  const reference = parseReference(image.image)
  const credentials = credentialsOf(auth, reference)
  const traced = traceparent === undefined ? {} : { traceparent }
  const pulled = await puller.pull({ reference, credentials, client: 'cri', ...traced }, { signal })
  // kubelet compares it with the id the runtime gives its containers: CRI-O's has no algorithm.
  const imageRef = runtime === 'crio' ? hexOf(pulled.image.id) : pulled.image.id
  await confirm?.(imageRef, { signal })
  return { image: pulled.image, imageRef }
}

/** Hands a pull on. Where that fails as well, our own failure is told first: it is the one that somebody can mend here. */
async function handOn({ upstream, onForwarded, log }: RuntimeImageParts, why: Why, pull: () => Promise<Buffer>): Promise<Buffer> {
  const { reason } = why
  onForwarded(reason)
  const told = 'error' in why ? { err: why.error } : { text: why.text }
  log.warn({ runtime: upstream.socket, reason, ...told }, 'pull handed to the runtime')
  try {
    return await pull()
  } catch (theirs) {
    throw 'error' in why ? bothFailed(why.error, theirs) : theirs
  }
}

function bothFailed(ours: unknown, theirs: unknown): unknown {
  const { kind } = failureOf(theirs)
  // That it is down need not be said twice.
  if (kind === 'cancelled' || (kind === 'runtime-down' && failureOf(ours).kind === kind)) return theirs
  const said = theirs instanceof Error ? theirs.message : String(theirs)
  return new WindlassError({ kind: 'both-failed', ours: failureOf(ours), said }, ours)
}
