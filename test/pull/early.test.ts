import { expect, it } from 'vitest'
import { sha256 } from '../../src/oci/digest.ts'
import { EarlyBlobs } from '../../src/pull/early.ts'
import { newTrail, type Repository } from '../../src/registry/registry.ts'

const { signal } = new AbortController()
const blob = { mediaType: 'application/octet-stream', digest: sha256('x'), size: 1 }
const none = (): never => {
  throw new Error('this test asks for blobs alone')
}

/** A repository that counts how often it is asked for a blob. */
function counting() {
  const asked = { blobs: 0 }
  const remote: Repository = {
    resolvedBy: 'r.example',
    tokenMs: 0,
    resolve: none,
    confirm: none,
    manifest: none,
    blob: none,
    fetch: async (_, sink) => {
      asked.blobs++
      await sink.write(Buffer.from('x'))
      return { host: 'r.example', bytes: 1, attempts: 1, firstByteMs: 1 }
    },
  }
  return { asked, remote }
}

it('no more than 32 blobs are in memory; the next one comes when one is let go, and not for who has left', async () => {
  const early = new EarlyBlobs()
  const { asked, remote } = counting()
  const fetch = (options = { signal }) =>
    early.fetch(remote, blob, () => undefined, { ...options, trail: newTrail(), isPatient: () => false })
  const [first] = await Promise.all(Array.from({ length: 32 }, () => fetch()))
  const leaving = new AbortController()
  const left = fetch({ signal: leaving.signal })
  const waiting = fetch()
  leaving.abort()
  await expect(left).rejects.toThrow()
  expect(asked.blobs).toBe(32)
  first?.[Symbol.dispose]()
  const got = await waiting
  expect(Buffer.concat(got.chunks).toString()).toBe('x')
  expect(asked.blobs).toBe(33)
})

it('is for small ones alone, and waits with the next bytes where it is told to', async () => {
  const early = new EarlyBlobs()
  expect(early.isFor({ ...blob, size: 256 * 1024 })).toBe(true)
  expect(early.isFor({ ...blob, size: 256 * 1024 + 1 })).toBe(false)
  const { promise, resolve } = Promise.withResolvers<void>()
  const { remote } = counting()
  let isHere = false
  const coming = early
    .fetch(remote, blob, () => promise, { signal, trail: newTrail(), isPatient: () => false })
    .then(() => {
      isHere = true
    })
  await new Promise(setImmediate)
  expect(isHere).toBe(false)
  resolve()
  await coming
})
