import { mkdtempDisposableSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { keepSwitch, readSwitch } from '../../src/main/switch.ts'
import { createPassthrough } from '../../src/runtime/passthrough.ts'
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

test('where it cannot be kept it is switched on all the same, and says so; off is refused', () => {
  const passthrough = createPassthrough(() => {}, { keep: (state) => keepSwitch('/dev/null/root', state) })
  expect(passthrough.set(true, 'trouble')).toBe(true)
  expect(passthrough.state()).toMatchObject({ on: true, reason: expect.stringMatching(/^trouble \(until the daemon restarts: /) })
  expect(() => passthrough.set(false, '')).toThrow()
})
