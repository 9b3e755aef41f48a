import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempDisposableSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkOwn, forgetRuntime, keepRuntime, lastRuntime } from '../../src/main/last-runtime.ts'

test('the last runtime is found again until it is forgotten', () => {
  using root = mkdtempDisposableSync(join(tmpdir(), 'windlass-last-'))
  expect(lastRuntime(root.path)).toBeUndefined()
  keepRuntime(root.path, { kind: 'crio', socket: '/run/other/crio.sock' })
  keepRuntime(root.path, { kind: 'containerd', socket: '/run/k3s/containerd.sock' })
  expect(lastRuntime(root.path)).toEqual({ kind: 'containerd', socket: '/run/k3s/containerd.sock' })
  expect(readdirSync(root.path)).toEqual(['windlass.runtime'])
  forgetRuntime(root.path)
  forgetRuntime(root.path)
  expect(lastRuntime(root.path)).toBeUndefined()
  expect(readdirSync(root.path)).toEqual([])
})

test('what layers and images in a runtime have here outlasts a start without it', () => {
  using root = mkdtempDisposableSync(join(tmpdir(), 'windlass-last-'))
  const kept = ['tar-splits', 'receipts'].map((name) => join(root.path, name))
  for (const directory of kept) {
    mkdirSync(directory)
    writeFileSync(join(directory, 'x'), '')
  }
  forgetRuntime(root.path)
  expect(kept.map((directory) => readdirSync(directory))).toEqual([['x'], ['x']])
})

test.each(['', '{', '[]', '{"kind":"none","socket":"/s"}', '{"kind":"crio","socket":"s"}'])('%j says nothing', (text) => {
  using root = mkdtempDisposableSync(join(tmpdir(), 'windlass-last-'))
  writeFileSync(join(root.path, 'windlass.runtime'), text)
  expect(lastRuntime(root.path)).toBeUndefined()
})

test('neither does a FIFO, which is not waited for', () => {
  using root = mkdtempDisposableSync(join(tmpdir(), 'windlass-last-'))
  execFileSync('mkfifo', [join(root.path, 'windlass.runtime')])
  expect(lastRuntime(root.path)).toBeUndefined()
})

test('where it cannot be kept, that is said', () => {
  expect(() => keepRuntime('/dev/null/root', { kind: 'crio', socket: '/s' })).toThrow(/windlass\.runtime/)
})

test('a root beside containerd is no place for a store of its own; one beside CRI-O is that store', () => {
  using root = mkdtempDisposableSync(join(tmpdir(), 'windlass-last-'))
  expect(() => checkOwn(root.path)).not.toThrow()
  keepRuntime(root.path, { kind: 'crio', socket: '/run/crio/crio.sock' })
  expect(() => checkOwn(root.path)).not.toThrow()
  keepRuntime(root.path, { kind: 'containerd', socket: '/run/k3s/containerd.sock' })
  expect(() => checkOwn(root.path)).toThrow(/images are in containerd at \/run\/k3s\/containerd.sock; ask that daemon/)
})
