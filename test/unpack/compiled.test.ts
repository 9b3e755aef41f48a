/** What extractors are made of is compiled once, not by each thread that starts them. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'

let cache: string
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'compiled-'))
})
afterEach(() => rmSync(cache, { recursive: true }))

const compiled = new URL('../../src/unpack/compiled.ts', import.meta.url).href
/** As the warden's thread does it. */
const thread = `const { getCompileCacheDir } = require('node:module')
import(${JSON.stringify(compiled)}).then(({ compileExtractors }) => compileExtractors(getCompileCacheDir()))`
const program = `new (require('node:worker_threads').Worker)(${JSON.stringify(thread)}, { eval: true, workerData: {} })`

function compile(): readonly string[] {
  execFileSync(process.execPath, ['-e', program], { env: { NODE_COMPILE_CACHE: cache } })
  return filesIn(cache)
}
const filesIn = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('/'))
const isMark = (name: string): boolean => basename(name).startsWith('extractors-')

it('is in the cache once a mark is', () => {
  const files = compile()
  expect(files.filter(isMark)).toHaveLength(1)
  expect(files.length).toBeGreaterThan(50)
  expect(compile()).toEqual(files)
})

it('is not loaded where the mark is', () => {
  const [mark = ''] = compile().filter(isMark)
  for (const name of filesIn(cache)) if (!isMark(name)) rmSync(join(cache, name))
  const left = compile()
  expect(left).toContain(mark)
  // What it takes to find the mark.
  expect(left.length).toBeLessThan(10)
})

it('is loaded for another Node, or other flags, whose cache is another', () => {
  compile()
  execFileSync(process.execPath, ['--no-opt', '-e', program], { env: { NODE_COMPILE_CACHE: cache } })
  expect(filesIn(cache).filter(isMark)).toHaveLength(2)
})
