import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { tar } from '../support/tar.ts'
import { compare } from './compare.ts'
import { readOurs } from './ours.ts'
import { startPython } from './readers.ts'
import { run, table } from './run.ts'

const hasReaders = ['tar', 'python3'].every((program) => spawnSync(program, ['--version']).status === 0)
if (!hasReaders) console.warn('GNU tar or python3 is missing: test/agreement is skipped')

describe.skipIf(!hasReaders)('our reader, GNU tar and Python', () => {
  it('read 500 archives alike, or we refuse', async () => {
    await using python = startPython()
    const tally = await run(500, 2, [python])
    expect(tally.disagreements, table(tally, 2, [python])).toEqual([])
    // Neither everything refused, nor nothing odd in it.
    expect(tally.agreed).toBeGreaterThan(200)
    expect(tally.refused.size).toBeGreaterThan(20)
  })

  it('would be told apart', async () => {
    await using python = startPython()
    const theirs = await python.read(tar([{ name: 'a', content: 'x' }, { name: 'b' }]))
    const verdict = (...parts: Parameters<typeof tar>) => compare(readOurs(tar(...parts)), theirs, 'Python').kind
    expect(verdict([{ name: 'a', content: 'x' }, { name: 'b' }])).toBe('agree')
    expect(verdict([{ name: 'a', content: 'y' }, { name: 'c' }])).toBe('disagree')
    expect(verdict([{ name: 'a', content: 'x' }])).toBe('disagree')
    expect(verdict([{ name: 'a', content: 'xx' }, { name: 'b' }])).toBe('disagree')
    expect(
      verdict([
        { name: 'a', content: 'x' },
        { name: 'b', uid: 1 },
      ]),
    ).toBe('disagree')
  })
})
