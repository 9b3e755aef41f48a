/** Documents: manifests, indexes and configs, whole and checked. */
import { z } from 'zod'
import type { Failure } from '../failure/failure.ts'
import { type Digest, sha256 } from '../oci/digest.ts'
import { jsonOrUndefined } from '../oci/json.ts'
import { type Descriptor, mediaTypes } from '../oci/oci.ts'
import type { Result } from './errors.ts'
import { type Consumer, collect, type Head } from './exchange.ts'
import type { Host } from './hosts.ts'
import type { Attempt } from './patience.ts'
import type { Document } from './registry.ts'
import type { Question, Requests } from './request.ts'

/** What the distribution-spec wants every registry to take, and nobody needs more. */
export const MAX_DOCUMENT = 4 * 1024 * 1024

/** `*` last: without it some registries refuse; alone it would bring schema 1. */
export const MANIFEST_ACCEPT = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerList,
  mediaTypes.dockerManifest,
  '*/*',
].join(', ')

/** What a document must be. For a tag nothing is known; a digest in the reference gives no size. */
export type Expected = {
  readonly what: 'manifest' | 'config'
  readonly digest?: Digest
  readonly size?: number
  readonly mediaType?: string
}

/** GETs a document from one host and checks it against what is expected and against what its own headers say. */
export async function getDocument(
  requests: Requests,
  host: Host,
  question: Question,
  expected: Expected,
  attempt: Attempt,
): Promise<Result<Document>> {
  const body: Buffer[] = []
  let encoding: string | undefined
  const receive = ({ headers }: Head): Consumer => {
    encoding = contentEncoding(headers)
    return collect(body, MAX_DOCUMENT + 1)
  }
  const answer = await requests.send(host, question, receive, attempt)
  if ('trouble' in answer) return answer
  const bytes = Buffer.concat(body)
  const failed = (failure: Failure, result: string): Result<Document> => ({ trouble: { kind: 'failed', result, failure } })
  const malformed = (reason: string) => failed({ kind: 'malformed', what: expected.what, from: host.name, reason }, reason)
  if (encoding !== undefined) return malformed(`it is ${encoding}-encoded, and was not to be`)
  if (bytes.length > MAX_DOCUMENT) return malformed(`more than ${MAX_DOCUMENT} bytes, the most a ${expected.what} may have`)
  const digest = sha256(bytes)
  // Without a digest to go by, the header is the only witness of damage on the way.
  const want = expected.digest ?? announcedDigest(answer.value) ?? digest
  if (digest !== want)
    return failed({ kind: 'digest-mismatch', what: expected.what, want, got: digest, from: host.name }, `wrong digest ${digest}`)
  if (expected.size !== undefined && expected.size !== bytes.length) {
    return failed(
      { kind: 'size-mismatch', digest, want: expected.size, got: bytes.length, from: host.name },
      `wrong size ${bytes.length}`,
    )
  }
  if (expected.what === 'config')
    return { value: { descriptor: { mediaType: expected.mediaType ?? '', digest, size: bytes.length }, bytes, host: host.name } }
  const mediaType = mediaTypeOf(bytes, answer.value)
  const unsupported = refusedType(mediaType)
  if (unsupported !== undefined) return failed(unsupported, `${mediaType} is not supported`)
  return { value: { descriptor: { mediaType, digest, size: bytes.length }, bytes, host: host.name } }
}

/** True where a HEAD says that the tag still has this digest. Every other answer, good or bad, is for the GET to tell. */
export async function stillNames(
  requests: Requests,
  host: Host,
  question: Question,
  known: Digest,
  attempt: Attempt,
): Promise<Result<boolean>> {
  const answer = await requests.send(host, { ...question, method: 'HEAD' }, () => () => undefined, attempt)
  if ('value' in answer) return { value: announcedDigest(answer.value) === known }
  const { kind } = answer.trouble
  return kind === 'unreachable' || kind === 'rate-limited' ? answer : { value: false }
}

/** Undefined for identity, which is what was asked for. */
export function contentEncoding(headers: Head['headers']): string | undefined {
  const encoding = headers['content-encoding']?.trim().toLowerCase()
  return encoding === undefined || encoding === '' || encoding === 'identity' ? undefined : encoding.slice(0, 40)
}

function announcedDigest({ headers }: Head): string | undefined {
  const digest = headers['docker-content-digest']
  return digest?.startsWith('sha256:') === true ? digest : undefined
}

const peekSchema = z.object({ mediaType: z.string().optional(), schemaVersion: z.number().optional() })

/** The document's own word counts; the header's, without parameters, where it is silent. */
function mediaTypeOf(bytes: Buffer, { headers }: Head): string {
  const peek = peekSchema.safeParse(jsonOrUndefined(bytes.toString('utf8')))
  if (peek.data?.mediaType !== undefined) return peek.data.mediaType
  if (peek.data?.schemaVersion === 1) return 'application/vnd.docker.distribution.manifest.v1+json'
  return (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

function refusedType(mediaType: string): Failure | undefined {
  if (!mediaType.startsWith('application/vnd.docker.distribution.manifest.v1')) return undefined
  const hint =
    'this image was pushed in the format of 2015, which names no content that could be verified; push it again with a current tool'
  return { kind: 'unsupported', what: 'manifest', mediaType, hint }
}

export const descriptorPath = (kind: 'manifests' | 'blobs', { digest }: Descriptor): string => `${kind}/${digest}`
