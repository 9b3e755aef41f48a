/**
 * The ImageService of a node with a runtime. Pulls are ours; everything else is the runtime's to say, because it is the one that starts
 * containers: its calls pass as bytes, so that fields only a newer kubelet and runtime know survive both ways.
 */
import { fail, failureOf } from '../failure/failure.ts'
import { hexOf } from '../oci/digest.ts'
import type { Log } from '../pull/log.ts'
import type { Puller } from '../pull/pull.ts'
import { parseReference } from '../reference/parse.ts'
import { imageCodec, imagePath } from '../rpc/codec.ts'
import type { PullImageRequest__Output } from '../rpc/generated/runtime/v1/PullImageRequest.ts'
import type { ImageHandlers, RawContext, RawService, Service } from '../rpc/services.ts'
import { ForeignStatus, statusNames } from '../rpc/status.ts'
import type { Upstream } from '../rpc/upstream.ts'
import type { Passthrough } from '../runtime/passthrough.ts'
import type { RuntimeFacts, RuntimeKind } from '../runtime/runtime.ts'
import { credentialsOf } from './auth.ts'
import { mayForward } from './forwardable.ts'
import { statusOf } from './status.ts'

export type RuntimeImageParts = {
  readonly runtime: RuntimeKind
  readonly upstream: Upstream
  readonly passthrough: Passthrough
  /** Our own path, or why there is none just now. */
  readonly own: () => OwnPath | { readonly missing: string }
  /** Told of every pull that was handed on, by a word of a closed set. */
  readonly onForwarded: (reason: string) => void
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
  /** Waits until the runtime knows the image, where the store itself has not. */
  readonly confirm?: (imageRef: string) => Promise<void>
}

export function createRuntimeImageService(parts: RuntimeImageParts): RawService<ImageHandlers> {
  const { upstream } = parts
  const pull = imageCodec('pullImage')
  const forward = (method: keyof ImageHandlers) => {
    const path = imagePath(method)
    return (request: Buffer, call: RawContext): Promise<Buffer> => upstream.unary(path, request, call)
  }
  const forwardPull = forward('pullImage')
  /** Our own store, where there is one beside the runtime's, and it is open. */
  const ours = (): Service<ImageHandlers> | undefined => {
    const own = parts.own()
    return 'missing' in own ? undefined : own.store
  }
  return {
    raw: {
      listImages: forward('listImages'),
      imageStatus: forward('imageStatus'),
      streamImages: (request, call) => upstream.stream(imagePath('streamImages'), request, call),
      imageFsInfo: async (bytes, call) => {
        const service = ours()
        if (service === undefined) return await forward('imageFsInfo')(bytes, call)
        return await parsed(imageCodec('imageFsInfo'), service.handlers.imageFsInfo)(bytes, call)
      },
      removeImage: async (bytes, call) => {
        const service = ours()
        // Ours first: the runtime answers with success for an image of ours, which it may not delete.
        if (service !== undefined) await parsed(imageCodec('removeImage'), service.handlers.removeImage)(bytes, call)
        return await forward('removeImage')(bytes, call)
      },
      pullImage: async (bytes, call) => {
        const request = pull.request(bytes)
        const own = ownFor(parts, request)
        if ('reason' in own) return await handOn(parts, own, () => forwardPull(bytes, call))
        try {
          return pull.response(await pullOurs(parts.runtime, own, request, call))
        } catch (error) {
          const failure = failureOf(error)
          if (own.failurePolicy === 'Fail' || !mayForward(failure)) throw error
          return await handOn(parts, { reason: failure.kind, error }, () => forwardPull(bytes, call))
        }
      },
    },
    statusOf,
  }
}

/** A handler of messages as one of bytes. */
function parsed<Request, Response>(
  codec: { request(bytes: Buffer): Request; response(message: Response): Buffer },
  handler: (request: Request, call: RawContext) => Promise<Response>,
): (bytes: Buffer, call: RawContext) => Promise<Buffer> {
  return async (bytes, call) => codec.response(await handler(codec.request(bytes), call))
}

/** Why a pull is handed on: a word of a closed set for the counter, and what a person should know. */
type Reason = { readonly reason: string; readonly text: string } | { readonly reason: string; readonly error: unknown }

/** Our path, or why this pull is not for us, before anything is tried. */
function ownFor({ passthrough, own: open }: RuntimeImageParts, { image }: PullImageRequest__Output): OwnPath | Reason {
  const state = passthrough.state()
  if (state.on) return { reason: 'passthrough', text: state.reason }
  const own = open()
  if ('missing' in own) return { reason: 'not-ready', text: own.missing }
  const [obstacle] = own.facts.obstacles
  if (obstacle !== undefined) return { reason: 'obstacle', text: obstacle }
  const handler = image?.runtimeHandler ?? ''
  const snapshotter = own.facts.otherSnapshotters.get(handler)
  return snapshotter === undefined ? own : { reason: 'runtime-handler', text: `${handler} uses the snapshotter ${snapshotter}` }
}

async function pullOurs(
  runtime: RuntimeKind,
  { puller, confirm }: OwnPath,
  { image, auth }: PullImageRequest__Output,
  { signal }: RawContext,
): Promise<{ imageRef: string }> {
  if (image === null || image.image === '')
    fail({ kind: 'invalid-argument', what: 'image', reason: 'the request names no image' })
  const reference = parseReference(image.image)
  const credentials = credentialsOf(auth, reference)
  const pulled = await puller.pull({ reference, credentials, client: 'cri' }, { signal })
  // kubelet compares it with the id the runtime gives its containers: CRI-O's has no algorithm.
  const imageRef = runtime === 'crio' ? hexOf(pulled.image.id) : pulled.image.id
  await confirm?.(imageRef)
  return { imageRef }
}

/** Hands a pull on. Where that fails as well, our own failure is told first: it is the one that somebody can mend here. */
async function handOn(
  { upstream, onForwarded, log }: RuntimeImageParts,
  why: Reason,
  pull: () => Promise<Buffer>,
): Promise<Buffer> {
  const { reason } = why
  const told = 'error' in why ? { err: why.error } : { text: why.text }
  onForwarded(reason)
  log.warn({ runtime: upstream.socket, reason, ...told }, 'pull handed to the runtime')
  try {
    return await pull()
  } catch (theirs) {
    if (!('error' in why)) throw theirs
    if (!(theirs instanceof ForeignStatus)) throw why.error
    const { code, message } = statusOf(failureOf(why.error))
    const details = `${message}; the runtime tried too: ${theirs.message}`.replaceAll(/\s*[\r\n]+\s*/g, ' ')
    throw new ForeignStatus({ ...theirs.status, code: statusNames.indexOf(code), details }, why.error)
  }
}
