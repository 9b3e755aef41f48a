/** The verification of one layer as the main thread sees it: the extractor that has it, how far it is, and how it ends. */
import { asWindlassError, WindlassError } from '../failure/failure.ts'
import type { Abortable } from '../task/task.ts'
import type { Extractor } from './child.ts'
import type { VerifyOrder } from './messages.ts'
import type { OpenSource } from './source.ts'
import type { Verdict } from './unpack.ts'

/** How often progress is looked at. */
const SAMPLE_MS = 100

/** Runs the order; resolves, or rejects, once the extractor has let go of its directory. */
export async function examination(
  extractor: Extractor,
  order: VerifyOrder,
  fds: readonly number[],
  { signal, onProgress }: Abortable & { readonly onProgress?: (bytes: number) => void },
): Promise<Verdict> {
  const stop = (): void => extractor.stop()
  const { diffSize } = order.verify
  const sampling =
    onProgress === undefined
      ? undefined
      : setInterval(() => onProgress(Math.min(diffSize, extractor.ring.reported)), SAMPLE_MS).unref()
  const answer = extractor.run(order, fds)
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true })
  const end = await answer
  signal.removeEventListener('abort', stop)
  clearInterval(sampling)
  if (signal.aborted) throw asWindlassError(signal.reason)
  if (!end.ok) throw new WindlassError(end.failure, end.stack)
  if ('verdict' in end) return end.verdict
  throw new WindlassError({ kind: 'internal', what: 'an extractor answers what nobody asked' })
}

/** The source `open` gives, or the verdict where there is none: a tree or a tar-split that is not there is a difference like any other. */
export function unlessGone(open: () => OpenSource): OpenSource | Verdict {
  try {
    return open()
  } catch (error) {
    const { failure, cause } = asWindlassError(error)
    if (failure.kind !== 'digest-mismatch') throw error
    const why = cause instanceof WindlassError ? cause.failure : undefined
    if (why?.kind === 'system' && !GONE.has(why.code)) throw cause
    const detail = `its tree or its tar-split file is not there${why?.kind === 'system' ? `: ${why.code}` : ''}`
    const difference = { path: '.', kind: 'missing', detail } as const
    return { differences: [difference], total: 1, digest: 'differs', entries: 0, bytes: 0, workMs: 0 }
  }
}

const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP'])
