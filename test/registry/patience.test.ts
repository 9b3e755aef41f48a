import { expect, it } from 'vitest'
import { openLink } from '../network/link.ts'
import { certsDir, certsName, Keeper, layerOf, newClient, pattern, signal } from './client-under-test.ts'
import { startRegistry } from './embedded-registry.ts'

it('a mirror that delivers keeps its turn, however often its connections break and it is waited for', async () => {
  const bytes = pattern(2_000_000)
  await using registry = await startRegistry()
  await using mirror = await startRegistry({ fault: () => ({ kind: 'cut', afterBytes: 250_000 }) })
  // Each of eight tries waits 0.8 s until an answer begins: together more than the patience for one.
  await using link = await openLink({ to: mirror.host, roundTripMs: 800 })
  const digest = mirror.putBlob(bytes)
  using dir = certsDir({ [`${certsName(registry.host)}/hosts.toml`]: `[host."http://${link.host}"]` })
  await using client = newClient({ hostsDir: dir.path })
  const sink = new Keeper()
  const transfer = await client.open(registry.host).fetch(layerOf(digest, bytes), sink, { signal: signal() })
  expect(sink.bytes.equals(bytes)).toBe(true)
  expect([transfer.host, transfer.attempts]).toEqual([link.host, 8])
  expect(registry.requests).toHaveLength(0)
})
