import { expect, test } from 'vitest'
import { causeOf } from '../../src/failure/cause.ts'
import type { Failure } from '../../src/failure/failure.ts'

const reference = 'r.example/app:1'
const host = 'r.example'
const unknown = (...results: readonly string[]): Failure => ({
  kind: 'manifest-unknown',
  reference,
  tried: results.map((result, at) => ({ host: `h${at}`, result })),
})

test.each<[string, Failure]>([
  ['404 MANIFEST_UNKNOWN', unknown('404 MANIFEST_UNKNOWN: manifest unknown')],
  ['h0: connection refused, h1: 404 NAME_UNKNOWN', unknown('connection refused', '404 NAME_UNKNOWN: no such repository')],
  ['manifest-unknown', unknown()],
  ['503', { kind: 'registry-unavailable', reference, tried: [{ host, result: '503' }] }],
  ['no such host name', { kind: 'registry-unavailable', reference, tried: [{ host, result: 'no such host name' }] }],
  ['401 UNAUTHORIZED', { kind: 'unauthorized', reference, host, detail: '401 UNAUTHORIZED: authentication required' }],
  ['no image for linux/arm64', { kind: 'no-platform', reference, wanted: 'linux/arm64', offered: [] }],
  ['no space left', { kind: 'no-space', path: '/x', code: 'ENOSPC' }],
  ['deadline exceeded', { kind: 'cancelled', reason: 'deadline' }],
])('%s', (cause, failure) => {
  expect(causeOf(failure)).toBe(cause)
})
