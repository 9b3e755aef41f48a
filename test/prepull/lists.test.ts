import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readImageLists } from '../../src/config/image-list.ts'
import { type Declared, ListFiles } from '../../src/prepull/lists.ts'

const listText = (name: string, ...images: readonly string[]): string =>
  `apiVersion: windlass.dev/v1alpha1\nkind: ImageList\nmetadata: {name: ${name}}\nspec: {images: [${images.map((image) => `{image: "${image}"}`).join(', ')}]}\n`

async function open(pollMs = 3_600_000) {
  await using open = new AsyncDisposableStack()
  const { path: dir } = open.use(await mkdtempDisposable(join(tmpdir(), 'windlass-listdir-')))
  const stop = new AbortController()
  open.defer(() => stop.abort())
  const told: Declared[] = []
  const errors: string[] = []
  let heard = Promise.withResolvers<void>()
  const lists = new ListFiles({
    dir,
    read: readImageLists,
    settleMs: 50,
    pollMs,
    onChange: (declared) => {
      told.push(declared)
      heard.resolve()
      heard = Promise.withResolvers()
    },
    log: { info: () => {}, error: (_, text) => errors.push(text) },
  })
  const kept = open.move()
  return {
    dir,
    lists,
    errors,
    told,
    next: () => heard.promise,
    names: () => told.at(-1)?.lists.flatMap(({ images }) => images.map(({ name }) => name)),
    start: () => lists.start({ signal: stop.signal }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

test('a ConfigMap as kubelet mounts it: the swap of ..data is seen, once', async () => {
  await using at = await open()
  const state = (name: string, text: string): void => {
    mkdirSync(join(at.dir, name))
    writeFileSync(join(at.dir, name, 'base.yaml'), text)
    symlinkSync(name, join(at.dir, '..data_tmp'))
    renameSync(join(at.dir, '..data_tmp'), join(at.dir, '..data'))
  }
  state('..1', listText('base', 'r.example/a:1'))
  symlinkSync('..data/base.yaml', join(at.dir, 'base.yaml'))
  await at.start()
  expect(at.names()).toEqual(['r.example/a:1'])
  const next = at.next()
  state('..2', listText('base', 'r.example/a:2'))
  await next
  expect(at.names()).toEqual(['r.example/a:2'])
  expect(at.told.length).toBe(2)
})

test('a bad file keeps its last good state, and is told once with line and field', async () => {
  await using at = await open()
  const file = join(at.dir, 'base.yaml')
  writeFileSync(file, listText('base', 'r.example/a:1'))
  await at.start()
  writeFileSync(file, `${listText('base', 'r.example/a:1')}wrong: 1\n`)
  await at.lists.reload()
  await at.lists.reload()
  expect(at.names()).toEqual(['r.example/a:1'])
  expect(at.told.at(-1)?.isWhole).toBe(false)
  expect(at.errors).toEqual([expect.stringContaining(`${file}:5: wrong: unknown key`)])
  expect(at.errors[0]).toContain('its last good state holds')
  expect(at.lists.problems).toHaveLength(1)
  writeFileSync(file, listText('base', 'r.example/b:1'))
  await at.lists.reload()
  expect({ names: at.names(), isWhole: at.told.at(-1)?.isWhole, problems: at.lists.problems }).toEqual({
    names: ['r.example/b:1'],
    isWhole: true,
    problems: [],
  })
})

test('two files with one list, the second is refused until the first is another', async () => {
  await using at = await open()
  writeFileSync(join(at.dir, '1.yaml'), listText('base', 'r.example/a:1'))
  writeFileSync(join(at.dir, '2.yaml'), listText('base', 'r.example/b:1'))
  await at.start()
  expect(at.names()).toEqual(['r.example/a:1'])
  expect(at.errors).toEqual([expect.stringContaining('another file has a list base')])
  writeFileSync(join(at.dir, '1.yaml'), listText('other', 'r.example/a:1'))
  await at.lists.reload()
  expect(at.names()).toEqual(['r.example/a:1', 'r.example/b:1'])
  expect(at.told.at(-1)?.isWhole).toBe(true)
})

test('a file that goes is declared no more; a directory that goes takes nothing with it', async () => {
  await using at = await open()
  writeFileSync(join(at.dir, 'a.yaml'), listText('a', 'r.example/a:1'))
  writeFileSync(join(at.dir, 'b.yaml'), listText('b', 'r.example/b:1'))
  await at.start()
  rmSync(join(at.dir, 'a.yaml'))
  await at.lists.reload()
  expect(at.names()).toEqual(['r.example/b:1'])
  renameSync(at.dir, `${at.dir}.away`)
  try {
    await at.lists.reload()
    expect({ names: at.names(), isWhole: at.told.at(-1)?.isWhole }).toEqual({ names: ['r.example/b:1'], isWhole: false })
  } finally {
    renameSync(`${at.dir}.away`, at.dir)
  }
})

test('a directory that is not there yet is found by the poll', async () => {
  await using at = await open(50)
  renameSync(at.dir, `${at.dir}.later`)
  await at.start()
  expect(at.told).toEqual([{ lists: [], isWhole: false }])
  const next = at.next()
  writeFileSync(join(`${at.dir}.later`, 'a.yaml'), listText('a', 'r.example/a:1'))
  renameSync(`${at.dir}.later`, at.dir)
  await next
  expect(at.names()).toEqual(['r.example/a:1'])
})
