/**
 * A runtime takes new images in a moment after they are in its store: containerd's CRI plugin by events, CRI-O when it next looks. Only
 * then can kubelet see an image and start containers from it, so only then has it landed. No runtime tells when that is.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { asWindlassError, WindlassError } from '../failure/failure.ts'
import type { Connection } from './client.ts'
import { RpcError } from './status.ts'

/** A label on a record reaches the CRI plugin by an event. */
const SHOWN_AFTER_MS = [50, 250] as const

/** Whether the runtime tells kubelet that the image is pinned; one that was pinned a moment ago is asked for more than once. Throws runtime, cancelled. */
export async function isShownPinned(
  cri: Pick<Connection, 'image'>,
  id: string,
  { runtime, socket, signal = new AbortController().signal, patienceMs = PATIENCE_MS }: Wanted,
  isNew: boolean,
): Promise<boolean> {
  for (const after of [0, ...(isNew ? SHOWN_AFTER_MS : [])]) {
    await delay(after, undefined, { signal }).catch(() => {})
    if (signal.aborted) throw asWindlassError(signal.reason)
    try {
      const { image } = await cri.image.imageStatus(
        { image: { image: id } },
        { signal, deadline: new Date(Date.now() + patienceMs) },
      )
      if (image?.pinned === true) return true
    } catch (error) {
      if (!(error instanceof RpcError)) throw error
      const { code, message: detail } = error
      throw new WindlassError(
        { kind: 'runtime', runtime, socket, operation: `tell whether ${id} is pinned`, code, detail },
        error,
      )
    }
  }
  return false
}

/** Who is asked, for its failure, and how long. */
export type Wanted = {
  readonly runtime: string
  readonly socket: string
  readonly signal?: AbortSignal
  readonly patienceMs?: number
}

/** It takes milliseconds; a runtime that has not seen an image for this long will not come round. */
const PATIENCE_MS = 10_000
const FIRST_WAIT_MS = 2
const LONGEST_WAIT_MS = 100

/**
 * Resolves when the runtime behind `cri` knows the image. Throws runtime where it does not in time, cancelled where `signal` aborts; without
 * a signal it stays to the end.
 */
export async function untilKnown(
  cri: Pick<Connection, 'image'>,
  id: string,
  { runtime, socket, signal = new AbortController().signal, patienceMs = PATIENCE_MS }: Wanted,
): Promise<void> {
  const deadline = new Date(Date.now() + patienceMs)
  let refusal: unknown
  for (let wait = FIRST_WAIT_MS; Date.now() < deadline.getTime(); wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    try {
      const { image } = await cri.image.imageStatus({ image: { image: id } }, { signal, deadline })
      if (image !== null) return
    } catch (error) {
      // That the last one came too late says less than what was said before.
      if (refusal === undefined || Date.now() < deadline.getTime()) refusal = error
    }
    await delay(wait, undefined, { signal }).catch(() => {})
    if (signal.aborted) throw asWindlassError(signal.reason)
  }
  const [code, detail] =
    refusal instanceof RpcError ? [refusal.code, refusal.message] : ['NOT_FOUND', 'it is in its store, but not among its images']
  throw new WindlassError({ kind: 'runtime', runtime, socket, operation: `take in image ${id}`, code, detail }, refusal)
}
