import { expect, it } from 'vitest'
import { statusOf as controlStatusOf } from '../../src/control/status.ts'
import { statusOf } from '../../src/cri/status.ts'
import type { Failure } from '../../src/failure/failure.ts'

const reference = 'r.example/app:1'
const tried = [{ host: 'r.example', result: '404' }]

it.each<[Failure, cri: string, control: string]>([
  [{ kind: 'invalid-reference', input: 'X', reason: 'r' }, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT'],
  [{ kind: 'invalid-argument', what: 'w', reason: 'r' }, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT'],
  [{ kind: 'manifest-unknown', reference, tried }, 'NOT_FOUND', 'NOT_FOUND'],
  [{ kind: 'blob-unknown', reference, digest: 'd', tried }, 'UNKNOWN', 'NOT_FOUND'],
  [{ kind: 'unauthorized', reference, host: 'h', detail: 'd' }, 'UNKNOWN', 'UNAUTHENTICATED'],
  [{ kind: 'denied', reference, host: 'h', detail: 'd' }, 'UNKNOWN', 'PERMISSION_DENIED'],
  [{ kind: 'no-platform', reference, wanted: 'linux/s390x', offered: ['linux/amd64'] }, 'UNKNOWN', 'FAILED_PRECONDITION'],
  [{ kind: 'digest-mismatch', what: 'layer', want: 'a', got: 'b', from: 'h' }, 'UNKNOWN', 'DATA_LOSS'],
  [{ kind: 'no-space', path: '/x', code: 'ENOSPC' }, 'UNKNOWN', 'RESOURCE_EXHAUSTED'],
  [{ kind: 'registry-unavailable', reference, tried }, 'UNKNOWN', 'UNAVAILABLE'],
  [{ kind: 'cancelled', reason: 'cancelled' }, 'CANCELLED', 'CANCELLED'],
  [{ kind: 'cancelled', reason: 'deadline' }, 'DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED'],
  [{ kind: 'cancelled', reason: 'shutdown' }, 'UNAVAILABLE', 'UNAVAILABLE'],
  [{ kind: 'internal', what: 'w' }, 'UNKNOWN', 'INTERNAL'],
  [{ kind: 'runtime-down', runtime: 'containerd', socket: '/s', reason: 'r' }, 'UNAVAILABLE', 'UNAVAILABLE'],
  [{ kind: 'passthrough', reason: 'r' }, 'UNKNOWN', 'FAILED_PRECONDITION'],
  [{ kind: 'both-failed', ours: { kind: 'registry-unavailable', reference, tried }, said: 's' }, 'UNKNOWN', 'UNAVAILABLE'],
])('%o is %s to kubelet and %s to our own clients', (failure, cri, control) => {
  expect(statusOf(failure).code).toBe(cri)
  expect(controlStatusOf(failure).code).toBe(control)
})

it('starts with RegistryUnavailable for an unreachable registry alone', () => {
  const unreachable = statusOf({ kind: 'registry-unavailable', reference, tried })
  expect(unreachable.message).toMatch(/^RegistryUnavailable: r\.example\/app:1: /)
  expect(statusOf({ kind: 'rate-limited', reference, host: 'h' }).message).not.toContain('RegistryUnavailable')
})

it('of two failures the one that kubelet knows by name comes first', () => {
  const ours: Failure = { kind: 'internal', what: 'w' }
  const said = 'SignatureValidationFailed: not signed'
  expect(statusOf({ kind: 'both-failed', ours, said })).toEqual({
    code: 'UNKNOWN',
    message: `${said}; Windlass had tried: internal error: w`,
  })
  expect(statusOf({ kind: 'both-failed', ours, said: 'no' }).message).toBe('internal error: w; the runtime tried too: no')
})
