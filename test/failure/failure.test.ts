import { expect, test } from 'vitest'
import { describe, type Failure, failureOf } from '../../src/failure/failure.ts'

const platformless = (offered: readonly string[]): Failure => ({
  kind: 'no-platform',
  reference: 'a:1',
  wanted: 'linux/arm64',
  offered,
})

test.each<[Failure, RegExp]>([
  [
    { kind: 'system', operation: 'mkdir', path: '/var/lib/windlass', code: 'EACCES' },
    /^mkdir \/var\/lib\/windlass: permission denied; run it as root, .* \(EACCES\)$/,
  ],
  [{ kind: 'system', operation: 'mkdir', path: '/r', code: 'EROFS' }, /read-only; choose a directory elsewhere \(EROFS\)$/],
  [{ kind: 'system', operation: 'frob', code: 'EXDEV' }, /^frob: EXDEV$/],
  [{ kind: 'no-space', path: '/store', code: 'ENOSPC' }, /below \/store .*remove images/],
  [{ kind: 'no-space', code: 'ENOSPC' }, /^no space left where the output goes \(ENOSPC\)$/],
  [{ kind: 'image-unknown', names: ['a'] }, /^image a is not here; /],
  [{ kind: 'image-unknown', names: ['a', 'b'] }, /^images a, b are not here; /],
  [platformless(['linux/amd64', 'windows(10.0)/amd64']), /build it for linux\/arm64/],
  [platformless(['windows(10.0)/amd64']), /does not pull Windows images$/],
  [{ kind: 'root-in-use', root: '/r', pid: 7 }, /pid 7\).*--socket/],
  [
    { kind: 'runtime-down', runtime: 'containerd', socket: '/s', reason: 'no such socket' },
    /^containerd does not answer on \/s \(no such socket\); see that it runs and what it logs/,
  ],
  [
    { kind: 'both-failed', ours: { kind: 'internal', what: 'w' }, said: 'not found' },
    /^internal error: w; the runtime tried too: not found$/,
  ],
  [{ kind: 'layer-in-use', layer: 'l', mounts: ['/a', '/b'] }, /^layer l is damaged .* mounted \(\/a, \/b\); end what uses it/],
  [
    { kind: 'layer-in-use', layer: 'l', mounts: [], snapshots: ['a', 'b'] },
    /^layer l is damaged .* containers stand on it \(a, b\); nothing was changed; remove those containers .*, then: windlass verify --repair$/,
  ],
  [
    { kind: 'layer-in-use', layer: 'l', mounts: [], snapshots: ['a'], removed: ['r/app:1', 'r/app:2'] },
    /containers stand on it \(a\); r\/app:1, r\/app:2 had been removed by then, to be pulled again; remove those containers/,
  ],
  [
    { kind: 'damaged', damaged: 2, unknown: 1, unverifiable: 3 },
    /^2 layers are damaged; windlass verify --repair.*; 1 layer could not be verified; 3 layers cannot be verified, for want of a tar-split; the table says why$/,
  ],
  [{ kind: 'passthrough', reason: 'by hand' }, /^this is left to the runtime: by hand$/],
  [{ kind: 'bad-config', file: 'f', line: 1, field: 'a', reason: 'x', more: [{ line: 2, reason: 'y' }] }, /^f:1: a: x; f:2: y$/],
])('%j in words', (failure, words) => {
  expect(describe(failure)).toMatch(words)
  expect(describe(failure)).not.toMatch(/\n|pull it first|proxy/)
})

test('an errno that Node has no name for is told by the kernel’s', () => {
  const code = 'Unknown system error -122'
  const error = Object.assign(new Error(code), { code, errno: -122, syscall: 'mkdir', path: '/x' })
  expect(failureOf(error)).toEqual({ kind: 'no-space', code: 'EDQUOT', path: '/x' })
})

test('a full device without a name is no full store', () => {
  const error = Object.assign(new Error('write'), { code: 'ENOSPC', syscall: 'write' })
  expect(failureOf(error)).toEqual({ kind: 'no-space', code: 'ENOSPC' })
})

test('what a registry has said at length leaves the beginning and the advice', () => {
  const mediaType = 'x'.repeat(4_000_000)
  const text = describe({ kind: 'unsupported', what: 'document', mediaType, hint: 'is a proxy in between?' })
  expect(text.length).toBeLessThan(4_100)
  expect(text).toMatch(/^unsupported document x+ … x+: is a proxy in between\?$/)
})
