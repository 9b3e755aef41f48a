import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Descriptor } from '../../src/oci/oci.ts'
import { mediaTypes } from '../../src/oci/oci.ts'
import { aManifest, certsDir, certsName, newClient, signal } from './client-under-test.ts'
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

it('a key of hosts.toml that nobody knows is told once, and again with others, and keeps nobody from pulling', async () => {
  await using registry = await startRegistry()
  registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
  const file = `${certsName(registry.host)}/hosts.toml`
  using dir = certsDir({ [file]: `server = "${registry.origin}"\nskip_verfy = true\n` })
  await using client = newClient({ hostsDir: dir.path })
  const pull = async () => void (await client.open(registry.host).resolve({ signal: signal() }))
  const told = () => client.events.flatMap((event) => (event.type === 'unknown-key' ? [event] : []))
  await pull()
  await pull()
  const first = { type: 'unknown-key', file: join(dir.path, file), line: 2, key: 'skip_verfy', meant: 'skip_verify' }
  expect(told()).toEqual([first])
  writeFileSync(join(dir.path, file), `server = "${registry.origin}"\nodd = 1\n`)
  await pull()
  expect(told()).toEqual([first, { type: 'unknown-key', file: join(dir.path, file), line: 2, key: 'odd' }])
})
