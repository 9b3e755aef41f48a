/**
 * The services on our socket, as types: what a room implements (`Handlers`) and what a client calls (`Calls`), both derived from the
 * types that `npm run proto` makes of proto/. Types only: importing this loads nothing.
 */
import type { Metadata } from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { Abortable } from '../task/task.ts'
import type { ContainersDefinition } from './generated/containerd/services/containers/v1/Containers.ts'
import type { ContentDefinition } from './generated/containerd/services/content/v1/Content.ts'
import type { ImagesDefinition } from './generated/containerd/services/images/v1/Images.ts'
import type { LeasesDefinition } from './generated/containerd/services/leases/v1/Leases.ts'
import type { SnapshotsDefinition } from './generated/containerd/services/snapshots/v1/Snapshots.ts'
import type { ImageServiceDefinition } from './generated/runtime/v1/ImageService.ts'
import type { RuntimeServiceDefinition } from './generated/runtime/v1/RuntimeService.ts'
import type { WindlassDefinition } from './generated/windlass/v1/Windlass.ts'
import type { StatusOf } from './status.ts'

/** What a handler knows of its call. `signal` aborts with `cancelled`: the caller left, its deadline passed, or the daemon stops. */
export type CallContext = Abortable & {
  /** When the caller stops waiting; absent where it waits for ever. */
  readonly deadline?: Date
  /** Its trace, as W3C Trace Context writes it; nobody has parsed it. */
  readonly traceparent?: string
}

/** What a caller says about a call beside its request. */
export type CallOptions = Abortable & { readonly deadline?: Date; readonly metadata?: Readonly<Record<string, string>> }

/** The methods of a generated definition, without the index signature it inherits. */
type MethodsOf<Definition> = keyof { [M in keyof Definition as string extends M ? never : number extends M ? never : M]: true }

/**
 * Implements a service: a promise for each unary call, an iterable for each stream; `Both` are streams in both directions. What they throw
 * becomes the status.
 */
export type Handlers<Definition, Streams extends keyof Definition = never, Both extends keyof Definition = never> = {
  readonly [M in MethodsOf<Definition> & string as Uncapitalize<M>]: Definition[M] extends MethodDefinition<
    infer _RequestIn,
    infer Response,
    infer Request,
    infer _ResponseOut
  >
    ? M extends Both
      ? (requests: AsyncIterable<Request>, call: CallContext) => AsyncIterable<Response>
      : M extends Streams
        ? (request: Request, call: CallContext) => AsyncIterable<Response>
        : (request: Request, call: CallContext) => Promise<Response>
    : never
}

/** Calls a service. A stream starts with the first `next()`; leaving the loop cancels it. Rejects with `RpcError`. */
export type Calls<Definition, Streams extends keyof Definition = never, Both extends keyof Definition = never> = {
  readonly [M in MethodsOf<Definition> & string as Uncapitalize<M>]: Definition[M] extends MethodDefinition<
    infer Request,
    infer _ResponseIn,
    infer _RequestOut,
    infer Response
  >
    ? M extends Both
      ? (requests: AsyncIterable<Request>, options: CallOptions) => AsyncIterable<Response>
      : M extends Streams
        ? (request: Request, options: CallOptions) => AsyncIterable<Response>
        : (request: Request, options: CallOptions) => Promise<Response>
    : never
}

export type ImageHandlers = Handlers<ImageServiceDefinition, 'StreamImages'>
export type RuntimeHandlers = Handlers<RuntimeServiceDefinition>
export type WindlassHandlers = Handlers<WindlassDefinition, 'Pull' | 'Hold' | 'WatchPulls' | 'WatchQueue' | 'Verify', 'Load'>

export type LeaseCalls = Calls<LeasesDefinition>
/** `write` is not among them: a stream in both directions (see `containerd.ts`). */
export type ContentCalls = Omit<Calls<ContentDefinition, 'Read'>, 'write'>
export type SnapshotCalls = Calls<SnapshotsDefinition, 'List'>
export type ContainerdImageCalls = Calls<ImagesDefinition>
export type ContainerCalls = Calls<ContainersDefinition, 'ListStream'>

export type ImageCalls = Calls<ImageServiceDefinition, 'StreamImages'>
export type RuntimeCalls = Calls<RuntimeServiceDefinition>
export type WindlassCalls = Calls<WindlassDefinition, 'Pull' | 'Hold' | 'WatchPulls' | 'WatchQueue' | 'Verify', 'Load'>

/** An implemented service and its way of saying failures. */
export type Service<H> = { readonly handlers: H; readonly statusOf: StatusOf }

/** What a handler of bytes knows of its call, and what it may tell the caller beside its messages. */
export type RawContext = CallContext & {
  readonly metadata: Metadata
  /** Before the first message; else they have gone without. */
  sendHeaders(headers: Metadata): void
  /** With the status, where the call ends well; a failure brings its own. */
  sendTrailers(trailers: Metadata): void
}
/** The same methods, message by message as bytes that nobody has parsed: fields we do not know pass through whole. */
export type RawHandlers<H> = {
  readonly [M in keyof H]: H[M] extends (...args: never) => AsyncIterable<unknown>
    ? (request: Buffer, call: RawContext) => AsyncIterable<Buffer>
    : (request: Buffer, call: RawContext) => Promise<Buffer>
}
export type RawService<H> = { readonly raw: RawHandlers<H>; readonly statusOf: StatusOf }
