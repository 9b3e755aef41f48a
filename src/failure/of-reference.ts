/** Rooms that work on a layer or a document do not know whose it is; who does adds it here. */
import { asWindlassError, type Failure, type FailureKind, type HostAttempt, WindlassError } from './failure.ts'

const ANONYMOUS = [
  'digest-mismatch',
  'size-mismatch',
  'unsupported',
  'malformed',
  'bad-layer',
  'bad-archive',
  'limit',
  'no-space',
] as const
type Anonymous = Extract<Failure, { readonly kind: (typeof ANONYMOUS)[number] }>

const isAnonymous = (failure: Failure): failure is Anonymous => (ANONYMOUS as readonly FailureKind[]).includes(failure.kind)

/** The failure with what it is about, and the other hosts that were asked, where its kind has room for that and does not say it yet. */
export function ofReference(failure: Failure, reference: string, others: readonly HostAttempt[] = []): Failure {
  if (!isAnonymous(failure) || (failure.reference !== undefined && others.length === 0)) return failure
  return { ...(others.length === 0 ? {} : { others }), reference, ...failure }
}

/** An unknown error as one that says what it is about; the same object where it does so already. */
export function errorAbout(reference: string, error: unknown): WindlassError {
  const own = asWindlassError(error)
  const failure = ofReference(own.failure, reference)
  return failure === own.failure ? own : new WindlassError(failure, own)
}
