import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempDisposableSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'

const hasStrace = existsSync('/usr/bin/strace')
if (!hasStrace) console.warn('SKIPPED: what is synced is seen with strace')

/** No crash can show it where a journal takes every name along with the next sync. */
test.skipIf(!hasStrace)('the name of a root, and those of the directories made above it, are put on disk', () => {
  using top = mkdtempDisposableSync(join(tmpdir(), 'windlass-root-'))
  const root = join(top.path, 'above', 'root')
  const trace = join(top.path, 'trace')
  const code = `
    const { makeRoot } = await import(${JSON.stringify(resolve('src/store/common/root.ts'))})
    makeRoot(${JSON.stringify(root)}, { info() {}, warn() {}, error() {} })`
  execFileSync('strace', ['-f', '-y', '-e', 'trace=fsync', '-o', trace, process.execPath, '--input-type=module', '-e', code])
  const synced = [...readFileSync(trace, 'utf8').matchAll(/fsync\(\d+<([^>]+)>\) = 0/g)].map((match) => match[1])
  expect(synced).toEqual([top.path, join(top.path, 'above')])
})
