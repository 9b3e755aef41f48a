import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { paxRecord, tar } from './tar.ts'

it('writes what GNU tar reads, in both formats', async () => {
  await using temp = await mkdtempDisposable(join(tmpdir(), 'windlass-tar-'))
  const long = `d/${'n'.repeat(150)}`
  for (const format of ['pax', 'gnu'] as const) {
    const out = join(temp.path, format)
    execFileSync('mkdir', [out])
    writeFileSync(
      `${out}.tar`,
      tar([
        { name: 'd/', type: 'dir', mode: 0o1777, format },
        { name: long, content: 'x'.repeat(700), mode: 0o4755, mtime: format === 'pax' ? 1_600_000_000.5 : 1_600_000_000, format },
        { name: 'd/hard', type: 'hardlink', link: long, format },
        { name: 'd/soft', type: 'symlink', link: 'l'.repeat(200), format },
        { name: Buffer.from([0x64, 0x2f, 0xff]), content: 'raw name', uid: 3_000_000, format },
        { name: 'd/fifo', type: 'fifo', format },
      ]),
    )
    execFileSync('tar', ['--no-same-owner', '-xpf', `${out}.tar`, '-C', out])
    expect(readFileSync(join(out, long), 'latin1')).toHaveLength(700)
    expect(statSync(join(out, long)).nlink).toBe(2)
    expect(statSync(join(out, long)).mtimeMs).toBe(format === 'pax' ? 1_600_000_000_500 : 1_600_000_000_000)
    expect(statSync(join(out, 'd')).mode & 0o7777).toBe(0o1777)
    expect(readdirSync(join(out, 'd'), { encoding: 'buffer' }).map((name) => name.toString('hex'))).toContain('ff')
    const listed = execFileSync('tar', ['--numeric-owner', '-tvf', `${out}.tar`], { encoding: 'latin1' })
    expect(listed).toMatch(/0\/0 .*soft -> l{200}/)
    expect(listed).toMatch(/3000000\/0/)
    expect(listed).toMatch(/-rwsr-xr-x/)
  }
})

it('counts the length of a PAX record with its own digits', () => {
  expect(paxRecord('a', 'b').toString()).toBe('6 a=b\n')
  expect(paxRecord('k', 'v'.repeat(93)).toString()).toMatch(/^99 /)
  expect(paxRecord('k', 'v'.repeat(94)).length).toBe(101)
  expect(paxRecord('x', Buffer.from([0xff, 0])).subarray(-3)).toEqual(Buffer.from([0xff, 0, 0x0a]))
})
