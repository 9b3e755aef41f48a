import { describe, expect, test } from 'vitest'
import { isPinned, matches, pinsByRules, RULE_OWNER } from '../../src/store/pins.ts'

describe('a glob', () => {
  test.each([
    ['r.example/base/*', 'r.example/base/os:1', true],
    ['r.example/base/*', 'r.example/base/os/extra:1', false],
    ['r.example/base/**', 'r.example/base/os/extra:1', true],
    ['r.example/**:v1', 'r.example/a/b:v1', true],
    ['r.example/**:v1', 'r.example/a/b:v2', false],
    ['r.example/app', 'r.example/app:v1', true],
    ['r.example/app', `r.example/app@sha256:${'a'.repeat(64)}`, true],
    ['r.example/app', 'r.example/apple:v1', false],
    ['r.example:5000/app', 'r.example:5000/app:v1', true],
    ['*/pause:3.*', 'registry.k8s.io/pause:3.10', true],
    ['*/pause:3.*', 'registry.k8s.io/sub/pause:3.10', false],
    ['**', 'r.example/a/b:v1', true],
    ['r.example/a.p', 'r.example/app:v1', false],
  ])('%s over %s: %s', (glob, name, expected) => expect(matches(glob, name)).toBe(expected))

  test('of many stars takes no time over the wrong name', () => {
    const started = performance.now()
    expect(matches(`r/${'*a'.repeat(200)}`, `r/${'a'.repeat(199)}b:1`)).toBe(false)
    expect(performance.now() - started).toBeLessThan(1000)
  })
})

const image = { tags: ['r.example/app:1'], digests: [], pulledAt: new Date(500_000), usedAt: new Date(1_000_000) }

test('of several rules the one that lasts longest is the pin', () => {
  const rules = [
    { images: ['r.example/*'], reason: 'short', ttlMs: 5_000 },
    { images: ['r.other/*'], reason: 'another' },
    { images: ['r.nobody/x', 'r.example/app'], reason: 'long', ttlMs: 9_000 },
  ]
  const [pin, ...more] = pinsByRules(rules, image)
  expect(more).toEqual([])
  expect(pin).toEqual({ owner: RULE_OWNER, reason: 'long', since: image.pulledAt, until: new Date(1_009_000) })
  expect(pinsByRules([{ images: ['**'], reason: 'for good' }, ...rules], image)[0]?.until).toBeUndefined()
  expect(pinsByRules([], image)).toEqual([])
})

test('a pin holds until its time is over', () => {
  const pins = [{ owner: 'a', reason: '', since: new Date(0), until: new Date(500) }]
  expect([isPinned({ pins }, new Date(499)), isPinned({ pins }, new Date(500)), isPinned({ pins: [] })]).toEqual([
    true,
    false,
    false,
  ])
})
