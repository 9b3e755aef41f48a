/** What registries say (distribution-spec, "Error codes", and what docker's adds), and the kind of failure it becomes. Tests send each. */
import type { FailureKind } from '../../src/failure/failure.ts'

export type Signal = {
  readonly status: number
  /** The first of `errors` in the body. */
  readonly code?: string
  /** For manifests, unless it is said. */
  readonly of?: 'blob'
  readonly loggedIn?: boolean
  readonly headers?: Readonly<Record<string, string>>
  readonly kind: FailureKind
}

const basic = { 'www-authenticate': 'Basic realm="r"' }

export const signals: readonly Signal[] = [
  { status: 401, code: 'UNAUTHORIZED', loggedIn: true, headers: basic, kind: 'unauthorized' },
  { status: 401, code: 'UNAUTHORIZED', headers: basic, kind: 'unauthorized' },
  { status: 401, code: 'DENIED', kind: 'denied' },
  { status: 403, code: 'DENIED', kind: 'denied' },
  { status: 403, kind: 'denied' },
  { status: 404, code: 'MANIFEST_UNKNOWN', kind: 'manifest-unknown' },
  { status: 404, code: 'NAME_UNKNOWN', kind: 'manifest-unknown' },
  { status: 404, kind: 'manifest-unknown' },
  { status: 404, code: 'BLOB_UPLOAD_UNKNOWN', of: 'blob', kind: 'blob-unknown' },
  { status: 404, code: 'BLOB_UNKNOWN', of: 'blob', kind: 'blob-unknown' },
  { status: 404, code: 'MANIFEST_BLOB_UNKNOWN', of: 'blob', kind: 'blob-unknown' },
  { status: 400, code: 'NAME_INVALID', kind: 'invalid-reference' },
  { status: 400, code: 'TAG_INVALID', kind: 'invalid-reference' },
  { status: 429, code: 'TOOMANYREQUESTS', headers: { 'retry-after': '3600' }, kind: 'rate-limited' },
  { status: 503, code: 'UNAVAILABLE', kind: 'registry-unavailable' },
  { status: 500, code: 'UNKNOWN', kind: 'registry-unavailable' },
  { status: 502, kind: 'registry-unavailable' },
  // Codes of requests that a pull does not make, or answers that make no sense to one.
  { status: 400, code: 'MANIFEST_INVALID', kind: 'malformed' },
  { status: 400, code: 'MANIFEST_UNVERIFIED', kind: 'malformed' },
  { status: 400, code: 'DIGEST_INVALID', kind: 'malformed' },
  { status: 400, code: 'SIZE_INVALID', of: 'blob', kind: 'malformed' },
  { status: 400, code: 'BLOB_UPLOAD_INVALID', of: 'blob', kind: 'malformed' },
  { status: 405, code: 'UNSUPPORTED', kind: 'malformed' },
]
