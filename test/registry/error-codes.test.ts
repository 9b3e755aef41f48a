/** Each error code of the distribution-spec once, as docs/errors.md says it. */
import { expect, it } from 'vitest'
import { type Signal, signals } from '../../scripts/errors/signals.ts'
import { failureOf, describe as inWords } from '../../src/failure/failure.ts'
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
