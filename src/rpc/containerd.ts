/**
 * A client of containerd's own services, in one namespace. Loads gRPC.
 *
 *     using containerd = connectContainerd('/run/containerd/containerd.sock', 'k8s.io')
 *     await containerd.snapshots.prepare({ … }, containerd.under(lease, { signal }))
 */
import type * as grpc from '@grpc/grpc-js'
import type { Abortable } from '../task/task.ts'
import { calls, cancelled, clientOf, isReady, metadataOf, RECONNECT, rpcError, waitForReady } from './client.ts'
import { type ContentToWrite, type ContentWriter, contentWriter } from './content-writer.ts'
import { containerdDefinitions } from './proto.ts'
import type { CallOptions, ContainerCalls, ContainerdImageCalls, ContentCalls, LeaseCalls, SnapshotCalls } from './services.ts'

/** A whole document for the content store. `ref` names the write while it is under way. */
export type ContentWrite = {
  readonly ref: string
  readonly digest: string
  readonly bytes: Uint8Array
  readonly labels: Readonly<Record<string, string>>
}

/** Calls reject with `RpcError`. Disposing it cancels them and closes it. */
export interface Containerd extends Disposable {
  readonly leases: LeaseCalls
  readonly content: ContentCalls
  readonly snapshots: SnapshotCalls
  readonly images: ContainerdImageCalls
  readonly containers: ContainerCalls
  /** Writes and commits a document of at most a few MiB; resolves to its size. Rejects with ALREADY_EXISTS where it is there already. */
  writeContent(write: ContentWrite, options: CallOptions): Promise<number>
  /** The same for content of any size, in pieces. */
  openContent(content: ContentToWrite, options: CallOptions): ContentWriter
  /** Whether somebody listens, or does within `ms`. */
  reach(ms: number, options: Abortable): Promise<boolean>
  /** The options of a call in the namespace; with `lease`, what the call makes is held by it. */
  under(lease: string | undefined, options: Abortable): CallOptions
}

/** Nobody need listen there yet: calls fail with UNAVAILABLE until somebody does (`reach`). */
export function connectContainerd(socket: string, namespace: string): Containerd {
  const client = clientOf(socket, RECONNECT)
  const definitions = containerdDefinitions()
  const closing = new AbortController()
  return {
    leases: calls<LeaseCalls>(client, definitions.leases, closing.signal),
    content: calls<ContentCalls>(client, definitions.content, closing.signal),
    snapshots: calls<SnapshotCalls>(client, definitions.snapshots, closing.signal),
    images: calls<ContainerdImageCalls>(client, definitions.images, closing.signal),
    containers: calls<ContainerCalls>(client, definitions.containers, closing.signal),
    writeContent: (write, options) => writeContent(client, definitions.content, write, options),
    openContent: (content, options) => contentWriter(client, writeMethod(definitions.content), content, options),
    reach: async (ms, options) => isReady(client) || (await waitForReady(client, ms, options)),
    under: (lease, { signal }) => ({
      signal,
      metadata: { 'containerd-namespace': namespace, ...(lease === undefined ? {} : { 'containerd-lease': lease }) },
    }),
    [Symbol.dispose]: () => {
      closing.abort()
      client.close()
    },
  }
}

function writeMethod({ Write }: grpc.ServiceDefinition): grpc.MethodDefinition<unknown, unknown> {
  if (Write === undefined) throw new Error('proto/ defines no Content.Write')
  return Write
}

/** One message does it all: a commit writes its data first. */
async function writeContent(
  client: grpc.Client,
  content: grpc.ServiceDefinition,
  { ref, digest, bytes, labels }: ContentWrite,
  options: CallOptions,
): Promise<number> {
  const { signal } = options
  if (signal.aborted) throw cancelled(signal.reason)
  const { path, requestSerialize, responseDeserialize } = writeMethod(content)
  const { deadline } = options
  const call = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    metadataOf(options),
    deadline === undefined ? {} : { deadline },
  )
  const cancel = () => call.cancel()
  signal.addEventListener('abort', cancel, { once: true })
  try {
    const message = { action: 'COMMIT', ref, total: bytes.length, expected: digest, offset: 0, data: bytes, labels }
    call.write(message)
    call.end()
    // The answers say how far it is; that the stream ends well is the one that counts.
    for await (const _progress of call);
    return bytes.length
  } catch (error) {
    throw rpcError(error)
  } finally {
    signal.removeEventListener('abort', cancel)
    call.cancel()
  }
}
