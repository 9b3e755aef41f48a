import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { readImageLists } from '../../src/config/image-list.ts'
import { failureOf } from '../../src/failure/failure.ts'

const temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-lists-'))
afterAll(() => temporary.remove())
const file = join(temporary.path, 'images.yaml')
const HEAD = 'apiVersion: windlass.dev/v1alpha1\nkind: ImageList\nmetadata: {name: base}\n'

function read(text: string) {
  writeFileSync(file, text)
  return readImageLists(file)
}
function refusal(text: string) {
  try {
    read(text)
  } catch (error) {
    return failureOf(error)
  }
  throw new Error('it was not refused')
}

test.each([
  // A timer is over at once with the first, and threw with the second, which ended the daemon at every start.
  ['pullDeadline: 600h', 'at most 596h'],
  ['pullDeadline: 2000h', 'at most 596h'],
  ['pin: {ttl: 999999999h999999999h}', 'at most 876000h'],
])('a time that cannot be waited for is refused: %s', (setting, reason) => {
  expect(refusal(`${HEAD}spec: {images: [{image: a, ${setting}}]}`)).toMatchObject({ reason: expect.stringContaining(reason) })
  expect(read(`${HEAD}spec: {images: [{image: a, pullDeadline: 596h}]}`)[0]?.images[0]?.deadlineMs).toBeLessThan(2 ** 31)
})

describe('a file that is to take long', () => {
  const list = `${HEAD}spec:\n`
  const most = 1024 * 1024 - 200
  const filled = (text: string): string => text.repeat(most / text.length)

  test.each([
    ['brackets', filled('['), 'deeper than 100'],
    ['mappings', filled('{a: '), 'deeper than 100'],
    ['dashes', filled('- '), 'deeper than 100'],
    ['documents', filled('---\n'), 'more than 1000 documents'],
    ['documents that are cut off', filled('--- {\n'), 'more than 1000 documents'],
    ['tags', filled('! '), 'more than 1000 anchors'],
    ['anchors', `${list}  x: ${'&a '.repeat(most / 4)}`, 'more than 1000 anchors'],
    ['an image', `${list}  images: [{image: "${'a/'.repeat(most / 3)}"}]`, 'no image reference'],
  ])('is refused at once, in few words: %s', (_, text, reason) => {
    const began = performance.now()
    const said = JSON.stringify(refusal(text))
    expect(performance.now() - began).toBeLessThan(3_000)
    expect(said).toContain(reason)
    expect(said.length).toBeLessThan(1_000)
  })

  test('for its many mistakes is told of the first', () => {
    const keys = Array.from({ length: 60_000 }, (_, at) => `  k${at}: 1\n`)
    const began = performance.now()
    expect(JSON.stringify(refusal(`${list}${keys.join('')}`)).length).toBeLessThan(8_000)
    expect(performance.now() - began).toBeLessThan(10_000)
  })

  test('and one that is large is read', () => {
    const images = Array.from({ length: 1_000 }, (_, at) => `  - {image: "r.example/app:${at}", pin: {ttl: 72h}} # [[[[ --- !\n`)
    expect(read(`${list}  images:\n${images.join('')}`)[0]?.images).toHaveLength(1_000)
  })
})

describe('a file of lists', () => {
  const digest = `sha256:${'a'.repeat(64)}`

  test('is read whole, in machine units and normal form', () => {
    const lists = read(`${HEAD}spec:
  priority: 100
  imagePullSecrets: [{name: regcred}]
  images:
  - {image: "r.example/ml@${digest}", archive: ml.tar.zst, pin: {ttl: 72h}}
  - {image: "debian", imagePullPolicy: Always, refreshInterval: 1h, pullDeadline: 30m}
---
apiVersion: windlass.dev/v1alpha1
kind: ImageList
metadata: {name: second}
spec: {images: []}
`)
    expect(lists).toEqual([
      {
        name: 'base',
        priority: 100,
        secrets: ['regcred'],
        images: [
          expect.objectContaining({
            name: `r.example/ml@${digest}`,
            policy: 'IfNotPresent',
            archive: 'ml.tar.zst',
            pinMs: 259_200_000,
          }),
          expect.objectContaining({
            name: 'docker.io/library/debian:latest',
            policy: 'Always',
            refreshMs: 3_600_000,
            deadlineMs: 1_800_000,
          }),
        ],
      },
      { name: 'second', priority: 0, secrets: [], images: [] },
    ])
  })

  test('an empty one holds none', () => {
    expect(read('')).toEqual([])
  })

  test('names line and field of all that is wrong', () => {
    expect(
      refusal(`${HEAD}spec:\n  priorty: 1\n  images:\n  - image: "r.example/UPPER"\n  - {image: a, imagePullPolicy: Never}\n`),
    ).toMatchObject({
      kind: 'bad-config',
      file,
      line: 5,
      field: 'spec.priorty',
      reason: 'unknown key; perhaps priority is meant',
      more: [
        { line: 7, field: 'spec.images.0.image', reason: expect.stringContaining('"r.example/UPPER" is no image reference') },
        { line: 8, field: 'spec.images.1.imagePullPolicy', reason: 'want IfNotPresent or Always' },
      ],
    })
  })

  test.each([
    ['a configuration', 'apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\n', 'want ImageList'],
    ['a name that is a path', `${HEAD.replace('base', '../base')}spec: {images: []}\n`, expect.stringContaining('want a name')],
    [
      'an image twice',
      `${HEAD}spec: {images: [{image: debian}, {image: "docker.io/library/debian:latest"}]}\n`,
      expect.stringContaining('already'),
    ],
    [
      'an archive that is a path',
      `${HEAD}spec: {images: [{image: a, archive: ../a.tar}]}\n`,
      expect.stringContaining('without a directory'),
    ],
    ['a list twice', `${HEAD}spec: {images: []}\n---\n${HEAD}spec: {images: []}\n`, expect.stringContaining('another list base')],
    [
      'a refresh of what is not asked for again',
      `${HEAD}spec: {images: [{image: a, refreshInterval: 1h}]}\n`,
      expect.stringContaining('Always'),
    ],
    [
      'a refresh every second',
      `${HEAD}spec: {images: [{image: a, imagePullPolicy: Always, refreshInterval: 1s}]}\n`,
      expect.stringContaining('at least 60000 ms'),
    ],
  ])('refuses %s', (_name, text, reason) => {
    expect(refusal(text)).toMatchObject({ kind: 'bad-config', reason })
  })
})
