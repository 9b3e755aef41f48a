/** What is thrown away goes out of the way at once; where the file system refuses that, it goes later. */
import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Sweeper } from '../../../src/store/common/sweeper.ts'
import { lacking } from '../../integration/lacking.ts'
import { mounted } from '../../integration/process.ts'
import { recordingLog } from '../local/place.ts'

it.skipIf(lacking('root')).each([
  ['that is thrown away', (sweeper: Sweeper, next: string) => sweeper.discard(next)],
  [
    'that another thread has put into the trash',
    async (sweeper: Sweeper, next: string, trash: string) => {
      renameSync(next, join(trash, 'next'))
      sweeper.sweepLater()
    },
  ],
] as const)('a directory that cannot be moved now goes with the next one %s', async (_, throwAway) => {
  await using top = await mkdtempDisposable(join(tmpdir(), 'windlass-sweeper-'))
  const [trash, busy, next] = ['trash', 'busy', 'next'].map((name) => join(top.path, name)) as [string, string, string]
  for (const dir of [trash, busy, next]) mkdirSync(dir)
  const log = recordingLog()
  await using sweeper = new Sweeper(trash, log)
  {
    // The kernel renames no mount point: EBUSY.
    using _held = mounted(busy, ['-t', 'tmpfs', 'tmpfs'])
    await sweeper.discard(busy)
    expect(existsSync(busy)).toBe(true)
  }
  await throwAway(sweeper, next, trash)
  await sweeper.idle()
  expect(readdirSync(top.path)).toEqual(['trash'])
  expect(readdirSync(trash)).toEqual([])
  // Thrown away twice, it is gone once.
  await sweeper.discard(next)
  expect(log.lines.map(({ message }) => message)).toEqual(['a directory could not be moved into the trash'])
})
