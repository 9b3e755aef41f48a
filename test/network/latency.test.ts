import { expect, it } from 'vitest'
import { pullLate } from './latency.ts'

it('40 small layers over a late link: each thing is asked for once, and few round trips follow each other', async () => {
  const late = await pullLate({ layers: 40, roundTripMs: 250 })
  // Manifest, config, layers; no HEAD.
  expect(late.requests).toEqual({ 'GET manifests': 1, 'GET blobs': 41 })
  // Connections are used again: there are no more than small layers that come at once.
  expect(late.connections).toBeLessThanOrEqual(32)
  // Of 40 in sequence, or 20 for two workers, it would be 5 s and more.
  expect(late.seconds).toBeLessThan(3)
}, 60_000)
