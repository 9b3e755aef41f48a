import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempDisposableSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'

/** In a process of its own: one that waits for a FIFO is ended. */
function place(file: string, contents: string): void {
  const code = `
    const { writeBeside } = await import(${JSON.stringify(resolve('src/store/local/durable.ts'))})
    using pending = writeBeside(${JSON.stringify(file)}, ${JSON.stringify(contents)})
    pending.place()`
  const { error, status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { timeout: 10_000 })
  expect({ error, status, stderr: stderr.toString() }).toMatchObject({ error: undefined, status: 0 })
}

test.each<[string, (path: string) => void]>([
  ['a FIFO', (path) => execFileSync('mkfifo', [path])],
  ['a link', (path) => symlinkSync('victim', path)],
  ['what a crash has left', (path) => writeFileSync(path, 'half')],
])('%s in the way is neither opened nor kept', (_what, make) => {
  using root = mkdtempDisposableSync(join(tmpdir(), 'windlass-durable-'))
  writeFileSync(join(root.path, 'victim'), 'untouched')
  make(join(root.path, 'file.new'))
  place(join(root.path, 'file'), 'new')
  expect(readFileSync(join(root.path, 'file'), 'utf8')).toBe('new')
  expect(readFileSync(join(root.path, 'victim'), 'utf8')).toBe('untouched')
  expect(readdirSync(root.path).toSorted()).toEqual(['file', 'victim'])
})
