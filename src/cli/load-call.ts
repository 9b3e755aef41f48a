/** The client's end of `Load`: gives the daemon what it wants of an archive that this process reads. */
import { createMailbox } from '../control/mailbox.ts'
import { fail } from '../failure/failure.ts'
import { parseDigest } from '../oci/digest.ts'
import type { OnPullEvent } from '../pull/pull.ts'
import type { LoadRequest } from '../rpc/generated/windlass/v1/LoadRequest.ts'
import type { WindlassCalls } from '../rpc/services.ts'
import type { Abortable } from '../task/task.ts'
import type { LoadAsk } from './backend.ts'
import { eventOf } from './wire.ts'

/** What a daemon may want at once: more is none of ours. */
const MAX_PIECE = 4 * 1024 * 1024

type Wanted = { readonly id: number; readonly digest: string; readonly offset: number; readonly length: number }

/** Resolves to the image's id. What cannot be read here ends the call, and is what is thrown. */
export async function load(
  windlass: WindlassCalls,
  { reference, platform = '', archive, image: { root, blobs } }: LoadAsk,
  { signal, onEvent }: Abortable & { readonly onEvent: OnPullEvent },
): Promise<string> {
  const wishes = createMailbox<Wanted>(() => undefined)
  async function* requests(): AsyncGenerator<LoadRequest> {
    const { mediaType, digest, size } = root.descriptor
    const document = { descriptor: { mediaType, digest, size }, content: Buffer.from(root.bytes) }
    yield { start: { reference, platform, archive, root: document } }
    for await (const { id, digest, offset, length } of wishes) {
      if (length > MAX_PIECE) fail({ kind: 'internal', what: `the daemon wants ${length} bytes at once` })
      const content = await blobs.read(parseDigest(digest), offset, length, { signal })
      yield { piece: { id, content: Buffer.from(content.buffer, content.byteOffset, content.length) } }
    }
  }
  let imageId: string | undefined
  try {
    for await (const { wanted, event: message } of windlass.load(requests(), { signal })) {
      if (wanted) wishes.put(wanted)
      const event = message ? eventOf(message) : undefined
      if (event?.type === 'done') imageId = event.imageId
      if (event !== undefined) onEvent(event, message?.atMs ?? 0)
    }
  } finally {
    wishes.end()
  }
  return imageId ?? fail({ kind: 'internal', what: 'the daemon ended the load without a result' })
}
