/** Each error code of the distribution-spec once, as docs/errors.md says it. */
import { expect, it } from 'vitest'
import { type Signal, signals } from '../../scripts/errors/signals.ts'
import { statusOf } from '../../src/cri/status.ts'
import { type FailureKind, failureOf, describe as inWords } from '../../src/failure/failure.ts'
import { sha256 } from '../../src/oci/digest.ts'
import { newClient, signal } from './client-under-test.ts'
import { startRegistry } from './embedded-registry.ts'

/** distribution-spec 1.1, table "Error codes". */
const SPECIFIED = [
  'BLOB_UNKNOWN',
  'BLOB_UPLOAD_INVALID',
  'BLOB_UPLOAD_UNKNOWN',
  'DIGEST_INVALID',
  'MANIFEST_BLOB_UNKNOWN',
  'MANIFEST_INVALID',
  'MANIFEST_UNKNOWN',
  'NAME_INVALID',
  'NAME_UNKNOWN',
  'SIZE_INVALID',
  'UNAUTHORIZED',
  'DENIED',
  'UNSUPPORTED',
  'TOOMANYREQUESTS',
]

it('has every code of the specification', () => {
  const codes = signals.map(({ code }) => code)
  expect(SPECIFIED.filter((code) => !codes.includes(code))).toEqual([])
})

async function failureFor({ status, code, of, loggedIn, headers }: Signal) {
  await using registry = await startRegistry()
  await using client = newClient()
  registry.fault = () => ({
    kind: 'status',
    status,
    ...(code === undefined ? {} : { code }),
    ...(headers === undefined ? {} : { headers }),
  })
  const credentials = { kind: 'basic', username: 'ci', password: 'a-secret' } as const
  const repository = client.open(registry.host, loggedIn === true ? { credentials } : {})
  const blob = { mediaType: 'application/octet-stream', digest: sha256('x'), size: 1 }
  const asked = of === 'blob' ? repository.blob(blob, { signal: signal() }) : repository.resolve({ signal: signal() })
  const failure = await asked.then(() => expect.fail('it did not fail'), failureOf)
  return { failure, host: registry.host }
}

const lost = (status: string) =>
  new RegExp(`^HOST/team/app:v1: the registry is missing layer sha256:.*: ${status}:.*; push the image again$`)
const wrong = (status: string) =>
  new RegExp(`^HOST/team/app:v1: answer from HOST is malformed: ${status}: .*; push the image again, or see what answers there`)
const absent = (status: string) => new RegExp(`^HOST/team/app:v1: not found .HOST: ${status}: .*; check the repository and tag$`)

/** What becomes of each, and what kubelet hears: code, and words that say what was tried where, and what to do. */
const TOLD: Readonly<Record<string, readonly [kind: FailureKind, code: string, text: RegExp]>> = {
  BLOB_UNKNOWN: ['blob-unknown', 'UNKNOWN', lost('404 BLOB_UNKNOWN')],
  BLOB_UPLOAD_INVALID: ['malformed', 'UNKNOWN', wrong('400 BLOB_UPLOAD_INVALID')],
  BLOB_UPLOAD_UNKNOWN: ['blob-unknown', 'UNKNOWN', lost('404 BLOB_UPLOAD_UNKNOWN')],
  DIGEST_INVALID: ['malformed', 'UNKNOWN', wrong('400 DIGEST_INVALID')],
  MANIFEST_BLOB_UNKNOWN: ['blob-unknown', 'UNKNOWN', lost('404 MANIFEST_BLOB_UNKNOWN')],
  MANIFEST_INVALID: ['malformed', 'UNKNOWN', wrong('400 MANIFEST_INVALID')],
  MANIFEST_UNKNOWN: ['manifest-unknown', 'NOT_FOUND', absent('404 MANIFEST_UNKNOWN')],
  NAME_INVALID: ['invalid-reference', 'INVALID_ARGUMENT', /^invalid image reference "HOST\/team\/app": 400 NAME_INVALID: /],
  NAME_UNKNOWN: ['manifest-unknown', 'NOT_FOUND', absent('404 NAME_UNKNOWN')],
  SIZE_INVALID: ['malformed', 'UNKNOWN', wrong('400 SIZE_INVALID')],
  UNAUTHORIZED: [
    'unauthorized',
    'UNKNOWN',
    /^authentication failed for HOST \(as user ci\) .*: 401 UNAUTHORIZED: .*; check the pull secret or --creds$/,
  ],
  DENIED: [
    'denied',
    'UNKNOWN',
    /^pull access denied for HOST\/team\/app:v1 at HOST .*, repository does not exist or may require authorization: 401 DENIED: .*; check/,
  ],
  UNSUPPORTED: ['malformed', 'UNKNOWN', wrong('405 UNSUPPORTED')],
  TOOMANYREQUESTS: ['rate-limited', 'UNKNOWN', /^HOST limits the rate of pulls of HOST\/team\/app:v1; retry after 3600 s; /],
}

it.concurrent.each(SPECIFIED)('%s has its kind, its code for kubelet, and its words', async (code) => {
  const sent = signals.find((each) => each.code === code) ?? expect.fail('it is not sent')
  const { failure, host } = await failureFor(sent)
  const status = statusOf(failure)
  const [kind, wanted, words] = TOLD[code] ?? expect.fail('nothing is said of it')
  expect({ kind: failure.kind, code: status.code }).toEqual({ kind, code: wanted })
  expect(status.message.replaceAll(host, 'HOST')).toMatch(words)
})

it.concurrent.each(
  signals.map((each) => [`${each.status} ${each.code ?? ''} ${each.of ?? ''} ${each.loggedIn ?? ''}`, each] as const),
)('%s', async (_, sent) => {
  const { failure, host } = await failureFor(sent)
  expect(failure.kind).toBe(sent.kind)
  const text = inWords(failure)
  expect(text).toContain(host)
  if (sent.kind !== 'rate-limited') expect(text).toContain(sent.code ?? String(sent.status))
  expect(text).not.toContain('a-secret')
})
