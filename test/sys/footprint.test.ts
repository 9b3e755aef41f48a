import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'

/** In a process of its own: what it has mapped before, right after, and that it works on, with code it has run and code it has not. */
const program = `
  const { shrink } = await import(process.argv[1])
  const { readFileSync } = await import('node:fs')
  const mapped = () => Number(/^RssFile:\\s+(\\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1])
  const work = () => require('node:crypto').createHash('sha256').update(require('node:zlib').gzipSync('x'.repeat(1e6))).digest('hex')
  const before = [mapped(), work()]
  shrink()
  const after = [mapped(), work()]
  for (let i = 0; i < 20; i++) { shrink(); JSON.parse(JSON.stringify(Array.from({ length: 1e4 }, (_, i) => ({ i, f: () => i })))) }
  console.log(JSON.stringify({ before, after }))
`

it('shrinking leaves the program working, with less of it mapped', () => {
  const file = join(import.meta.dirname, '../../src/sys/footprint.ts')
  const said = execFileSync(process.execPath, ['--input-type=commonjs', '-e', `(async () => {${program}})()`, file], {
    encoding: 'utf8',
  })
  const { before, after } = JSON.parse(said)
  expect(after[0]).toBeLessThan(before[0] / 2)
  expect(after[1]).toBe(before[1])
})

it.each([
  ['on its command line', ['--use-largepages=silent'], {}],
  ['in its environment', [], { NODE_OPTIONS: '--use-largepages=silent' }],
])('a program that large pages hold is left alone: %s', (_where, options, env) => {
  const file = join(import.meta.dirname, '../../src/sys/footprint.ts')
  const shrinking = `import(${JSON.stringify(file)}).then(({ shrink }) => { shrink(); console.log(require('node:zlib').gzipSync('x').length > 0) })`
  const said = execFileSync(process.execPath, [...options, '-e', shrinking], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  expect(said).toBe('true\n')
})

/** A large block is freed, which by malloc(3)'s own choice keeps the next ones of its size in the heap. By how much that grows with another. */
const blocks = `
  const { returnLargeBlocks } = await import(process.argv[1])
  const { readFileSync } = await import('node:fs')
  const libc = require('koffi').load(null)
  const [malloc, free] = [libc.func('malloc', 'void *', ['size_t']), libc.func('free', 'void', ['void *'])]
  const heap = () => {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) .*\\[heap\\]$/m.exec(readFileSync('/proc/self/maps', 'utf8'))
    return parseInt(to, 16) - parseInt(from, 16)
  }
  if (process.argv[2] === 'returned') returnLargeBlocks()
  free(malloc(24 * 2 ** 20))
  const before = heap()
  malloc(20 * 2 ** 20)
  console.log(heap() - before)
`

it.each([
  ['kept', true],
  ['returned', false],
])('large blocks are %s by whoever frees them', (what, isInHeap) => {
  const [top, file] = [join(import.meta.dirname, '../..'), join(import.meta.dirname, '../../src/sys/footprint.ts')]
  const said = execFileSync(process.execPath, ['--input-type=commonjs', '-e', `(async () => {${blocks}})()`, file, what], {
    encoding: 'utf8',
    cwd: top,
  })
  expect(Number(said) > 10 * 2 ** 20).toBe(isInHeap)
})
