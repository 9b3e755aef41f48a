import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { lchmodat, throughDescriptor } from '../../src/sys/chmod.ts'
import { AT, close, cstr, ENOENT, EOPNOTSUPP, O, openat } from '../../src/sys/libc.ts'

it.each([
  ['fchmodat2', lchmodat],
  ['a descriptor', throughDescriptor],
])('changes files, directories and fifos, and nothing through a symlink, by %s', async (_, chmod) => {
  await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-chmod-'))
  const at = (name: string): string => join(temporary.path, name)
  writeFileSync(at('file'), '')
  mkdirSync(at('dir'))
  chmodSync(at('dir'), 0o700)
  symlinkSync('dir', at('link'))
  const dir = openat(AT.FDCWD, cstr(temporary.path), O.PATH | O.DIRECTORY | O.CLOEXEC, 0)
  try {
    expect(chmod(dir, cstr('file'), 0o4711)).toBe(0)
    expect(chmod(dir, cstr('link'), 0o777)).toBe(-EOPNOTSUPP)
    expect(statSync(at('dir')).mode & 0o7777).toBe(0o700)
    expect(chmod(dir, cstr('dir'), 0o1755)).toBe(0)
    expect(chmod(dir, cstr('missing'), 0o755)).toBe(-ENOENT)
    expect([statSync(at('file')), statSync(at('dir'))].map(({ mode }) => mode & 0o7777)).toEqual([0o4711, 0o1755])
  } finally {
    close(dir)
  }
})
