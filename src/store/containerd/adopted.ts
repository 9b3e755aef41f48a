/**
 * The CRI plugin hears of new image records by events and takes them in a moment later. Only then can kubelet see the image and start
 * containers from it, so only then has it landed. The plugin has no event of its own to wait for.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { WindlassError } from '../../failure/failure.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Connection } from '../../rpc/client.ts'
import { RpcError } from '../../rpc/status.ts'

/** It takes milliseconds; a plugin that has been silent for this long will not come round. */
const PATIENCE_MS = 10_000
const FIRST_WAIT_MS = 2
const LONGEST_WAIT_MS = 100

/** Resolves when the CRI plugin knows the image. Throws runtime where it does not in time. */
export async function untilAdopted(cri: Pick<Connection, 'image'>, id: Digest): Promise<void> {
  const { signal } = new AbortController()
  const deadline = new Date(Date.now() + PATIENCE_MS)
  let refusal: unknown
  for (let wait = FIRST_WAIT_MS; Date.now() < deadline.getTime(); wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    try {
      const { image } = await cri.image.imageStatus({ image: { image: id } }, { signal, deadline })
      if (image !== null) return
    } catch (error) {
      refusal = error
    }
    await delay(wait)
  }
  const [code, detail] =
    refusal instanceof RpcError
      ? [refusal.code, refusal.message]
      : ['NOT_FOUND', 'its image store has the record, its CRI plugin does not show the image']
  throw new WindlassError(
    { kind: 'runtime', runtime: 'containerd', socket: 'its CRI plugin', operation: `take in ${id}`, code, detail },
    refusal,
  )
}
