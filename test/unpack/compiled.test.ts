/** What extractors are made of is compiled once, not by each thread that starts them. */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'

let cache: string
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'compiled-'))
})
afterEach(() => rmSync(cache, { recursive: true }))

const checkout = new URL('../../', import.meta.url).pathname
/** As the warden's thread does it, of the sources in `top`. */
const programOf = (top: string): string => {
  const thread = `const { getCompileCacheDir } = require('node:module')
import(${JSON.stringify(join(top, 'src/unpack/compiled.ts'))}).then(({ compileExtractors }) => compileExtractors(getCompileCacheDir()))`
  return `new (require('node:worker_threads').Worker)(${JSON.stringify(thread)}, { eval: true, workerData: {} })`
}
const program = programOf(checkout)

function compile(of = program): readonly string[] {
  execFileSync(process.execPath, ['-e', of], { env: { NODE_COMPILE_CACHE: cache } })
  return filesIn(cache)
}
const filesIn = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('/'))
const isMark = (name: string): boolean => basename(name) === 'extractors'

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

it('is loaded each time where the sources cannot all be read, and again once they have changed', () => {
  const top = mkdtempSync(join(tmpdir(), 'compiled-src-'))
  try {
    for (const name of ['src', 'package.json']) cpSync(join(checkout, name), join(top, name), { recursive: true })
    symlinkSync(join(checkout, 'node_modules'), join(top, 'node_modules'))
    // As an editor leaves beside a file that it has open.
    const lock = join(top, 'src/unpack/.#pool.ts')
    symlinkSync('nobody@nowhere', lock)
    const unmarked = compile(programOf(top))
    expect(unmarked.length).toBeGreaterThan(50)
    expect(unmarked.filter(isMark)).toEqual([])
    rmSync(lock)
    const markAfter = () =>
      compile(programOf(top))
        .filter(isMark)
        .map((name) => readFileSync(join(cache, name), 'latin1'))
    const first = markAfter()
    expect(first).toHaveLength(1)
    cpSync(join(top, 'src/unpack/lines.ts'), join(top, 'src/unpack/more-lines.ts'))
    const second = markAfter()
    expect(second).toHaveLength(1)
    expect(second).not.toEqual(first)
  } finally {
    rmSync(top, { recursive: true })
  }
})
