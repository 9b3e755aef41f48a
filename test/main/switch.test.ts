import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempDisposableSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { keepSwitch, readSwitch } from '../../src/main/switch.ts'
import { createPassthrough, type PassthroughState } from '../../src/runtime/passthrough.ts'
import { openLocalStore } from '../../src/store/local/local.ts'

test('a switch is found again as it was left, in a root that may not be there yet, and is no obstacle to a store', async () => {
  using temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-switch-'))
  const root = join(temporary.path, 'root')
  expect(readSwitch(root)).toEqual({ on: false })
  const state = { on: true, reason: 'incident "4711"\n', since: new Date(1_000) } as const
  keepSwitch(root, state)
  expect(readSwitch(root)).toEqual(state)
  await using _store = await openLocalStore({ root }, { signal: new AbortController().signal })
  expect(readSwitch(root)).toEqual(state)
  keepSwitch(root, { on: false })
  keepSwitch(root, { on: false })
  expect(readSwitch(root)).toEqual({ on: false })
  expect(readdirSync(root)).not.toContain('windlass.passthrough.new')
})

test.each(['', '{', '[]', '{"reason":1}', '{"reason":"x","since":"soon"}'])('%j left there is a switch that is on', (text) => {
  using temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-switch-'))
  writeFileSync(join(temporary.path, 'windlass.passthrough'), text)
  expect(readSwitch(temporary.path)).toMatchObject({ on: true, reason: expect.stringContaining('cannot be read') })
})

const inPlaces: readonly [string, (path: string) => unknown, RegExp][] = [
  ['a FIFO', (path) => execFileSync('mkfifo', [path]), /cannot be read: it is a FIFO/],
  [
    'a link that leads nowhere',
    (path) => symlinkSync('/gone', path),
    /cannot be read: it is a symbolic link to \/gone, and nothing/,
  ],
  ['something endless', (path) => symlinkSync('/dev/zero', path), /cannot be read: it is a device/],
]
test.each(inPlaces)('%s in its place is a switch that is on, and makes way when it is switched', (_, make, words) => {
  using temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-switch-'))
  const root = temporary.path
  const state = { on: true, reason: 'x', since: new Date(1_000) } as const
  for (const next of [state, { on: false }] as const) {
    make(join(root, 'windlass.passthrough'))
    expect(readSwitch(root)).toMatchObject({ on: true, reason: expect.stringMatching(words) })
    keepSwitch(root, next)
    expect(readSwitch(root)).toEqual(next)
    rmSync(join(root, 'windlass.passthrough'), { force: true })
  }
})

test('a directory in its place is a switch that is on, and what to do about it is said', () => {
  using temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-switch-'))
  const root = temporary.path
  mkdirSync(join(root, 'windlass.passthrough'))
  expect(readSwitch(root)).toMatchObject({ on: true, reason: expect.stringMatching(/cannot be read: it is a directory/) })
  const reason = /windlass\.passthrough: it is a directory, where windlass passthrough keeps a file; remove it, then switch again/
  for (const state of [{ on: false }, { on: true, reason: 'x', since: new Date() }] as const)
    expect(() => keepSwitch(root, state)).toThrow(reason)
})

test('off is where there is no root yet, and none is made', () => {
  using temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-switch-'))
  keepSwitch(join(temporary.path, 'root'), { on: false })
  expect(readdirSync(temporary.path)).toEqual([])
})

test('where it cannot be kept it is switched on all the same, and says so; off is refused and changes nothing', () => {
  using temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-switch-'))
  mkdirSync(join(temporary.path, 'windlass.passthrough'))
  const told: PassthroughState[] = []
  const passthrough = createPassthrough((state) => told.push(state), { keep: (state) => keepSwitch(temporary.path, state) })
  expect(passthrough.set(true, 'trouble')).toBe(true)
  const on = passthrough.state()
  expect(on).toMatchObject({ on: true, reason: expect.stringMatching(/^trouble \(until the daemon restarts: /) })
  expect(() => passthrough.set(false, '')).toThrow('remove it, then switch again')
  expect(passthrough.state()).toEqual(on)
  expect(told).toEqual([on])
})
