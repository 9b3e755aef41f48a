import { appendFileSync, chmodSync, lutimesSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { cstr, lsetxattr } from '../../src/sys/libc.ts'
import { makeVictim } from './victim.ts'

it.each<[string, (dir: string) => void]>([
  ['a byte', (dir) => appendFileSync(join(dir, 'precious'), 'x')],
  ['a new file', (dir) => writeFileSync(join(dir, 'nested', 'new'), '')],
  ['a removed file', (dir) => unlinkSync(join(dir, 'precious'))],
  ['a name', (dir) => renameSync(join(dir, 'precious'), join(dir, 'precioux'))],
  ['a mode', (dir) => chmodSync(join(dir, 'setuid'), 0o755)],
  ['a time', (dir) => lutimesSync(join(dir, 'link'), 1, 1)],
  ['an xattr', (dir) => void lsetxattr(cstr(join(dir, 'precious')), cstr('user.x'), Buffer.from('1'), 1, 0)],
  [
    'a link target',
    (dir) => {
      unlinkSync(join(dir, 'link'))
      symlinkSync('other', join(dir, 'link'))
    },
  ],
])('notices %s', async (_, change) => {
  await using temp = await mkdtempDisposable(join(tmpdir(), 'windlass-victim-'))
  const victim = makeVictim(join(temp.path, 'victim'))
  expect(victim.unchanged()).toBe(true)
  change(victim.dir)
  expect(victim.unchanged()).toBe(false)
})
