import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { mediaTypes } from '../../src/oci/oci.ts'
import { PATIENCE_MS } from '../../src/registry/patience.ts'
import type { Keyring } from '../../src/registry/registry.ts'
import { openLink } from '../network/link.ts'
import { aManifest, certsDir, certsName, Keeper, layerOf, newClient, pattern, signal } from './client-under-test.ts'
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

it('a mirror is not to blame for the time it takes to find out who logs in there', async () => {
  await using registry = await startRegistry()
  await using mirror = await startRegistry({ auth: { kind: 'basic', username: 'bob', password: 'b' } })
  mirror.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
  using dir = certsDir({ [`${certsName(registry.host)}/hosts.toml`]: `[host."${mirror.origin}"]` })
  const keyring: Keyring = {
    candidates: async (_, { signal }) => {
      // As long as that is what is tested: a helper has 30 s.
      await delay(PATIENCE_MS + 500, undefined, { signal })
      return { logins: [{ kind: 'basic', username: 'bob', password: 'b' }], problems: [] }
    },
  }
  await using client = newClient({ hostsDir: dir.path, keyring })
  const document = await client.open(registry.host).resolve({ signal: signal() })
  expect(document?.host).toBe(mirror.host)
  expect(client.events.filter(({ type }) => type === 'host-failed')).toEqual([])
})
