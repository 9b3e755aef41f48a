import { execFileSync } from 'node:child_process'
import { closeSync, fsyncSync, mkdirSync, mkdtempDisposableSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isInMemory, syncPath } from '../../src/sys/sync.ts'

const SIZE = 300_000

test('what was written is in memory until it is let go of, and asking does not bring it back', ({ skip }) => {
  using root = mkdtempDisposableSync(join(tmpdir(), 'windlass-sync-'))
  if (execFileSync('stat', ['-f', '-c', '%T', root.path], { encoding: 'utf8' }).trim() === 'tmpfs')
    skip('tmpfs lets go of nothing')
  const file = join(root.path, 'file')
  writeFileSync(file, Buffer.alloc(SIZE, 1))
  const fd = openSync(file, 'r')
  try {
    expect(isInMemory(fd, SIZE)).toBe(true)
    fsyncSync(fd)
    execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0'], { stdio: 'ignore' })
    expect(isInMemory(fd, SIZE)).toBe(false)
    expect(isInMemory(fd, SIZE)).toBe(false)
    readFileSync(file)
    expect(isInMemory(fd, SIZE)).toBe(true)
    expect(isInMemory(fd, 0)).toBe(true)
  } finally {
    closeSync(fd)
  }
})

test('files and directories are synced by path; a FIFO is not waited for, and cannot be', () => {
  using root = mkdtempDisposableSync(join(tmpdir(), 'windlass-sync-'))
  mkdirSync(join(root.path, 'directory'))
  writeFileSync(join(root.path, 'file'), 'x')
  execFileSync('mkfifo', [join(root.path, 'fifo')])
  syncPath(join(root.path, 'directory'))
  syncPath(join(root.path, 'file'))
  expect(() => syncPath(join(root.path, 'fifo'))).toThrow(/fsync/)
  expect(() => syncPath(join(root.path, 'absent'))).toThrow(/absent/)
})
