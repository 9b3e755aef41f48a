import { expect, it } from 'vitest'
import type { Descriptor } from '../../src/oci/oci.ts'
import { mediaTypes } from '../../src/oci/oci.ts'
import { aManifest, newClient, signal } from './client-under-test.ts'
import { startRegistry } from './embedded-registry.ts'

const answers = (events: readonly { readonly type: string }[]) => events.filter(({ type }) => type === 'answer')

it('an answer is told with its status, and with how long its head took and all of it', async () => {
  await using registry = await startRegistry({ blobBytesPerSecond: 1_000_000 })
  await using client = newClient()
  const bytes = Buffer.alloc(500_000)
  const blob: Descriptor = { mediaType: 'x', digest: registry.putBlob(bytes), size: bytes.length }
  await client.open(registry.host).fetch(blob, { write: () => undefined }, { signal: signal() })
  const [answer, ...more] = client.events.flatMap((event) => (event.type === 'answer' ? [event] : []))
  expect(more).toEqual([])
  expect(answer).toMatchObject({ host: registry.host, method: 'GET', code: '200' })
  expect(answer?.headMs).toBeLessThan((answer?.ms ?? 0) / 2)
})

it.each([
  [{ kind: 'status', status: 404 }, '404'],
  [{ kind: 'status', status: 403, code: 'DENIED' }, '403'],
  [{ kind: 'status', status: 429, headers: { 'retry-after': '100' } }, '429'],
  [{ kind: 'status', status: 500 }, '500'],
  [{ kind: 'hang-up' }, 'unreachable'],
] as const)('what went wrong is told as a word of few: %o', async (fault, code) => {
  await using registry = await startRegistry({ fault: () => fault })
  await using client = newClient()
  registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
  await client
    .open(registry.host)
    .resolve({ signal: signal() })
    .catch(() => {})
  expect(new Set(answers(client.events).map((event) => ('code' in event ? event.code : '')))).toEqual(new Set([code]))
})
