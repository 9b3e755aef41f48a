/** `npm run agreement`: our tar reader against others'. */
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { optionsOf, whole } from '../../scripts/options.ts'
import { startGo, startPython } from './readers.ts'
import { run, table } from './run.ts'

const { count, seed } = optionsOf({
  command: 'npm run agreement',
  about:
    'Our tar reader against those of others, on generated archives: each is read alike by us, GNU tar and Python, or refused by us.',
  takes: 'five to ten minutes',
  needs: 'GNU tar and python3; a Go compiler, where there is one, is the arbiter between them',
  options: {
    count: whole('N', 20_000, 'archives'),
    seed: whole('N', 1, 'the same seed makes the same archives'),
  },
  examples: [['--count 500', 'what the tests make']],
})
await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-agreement-'))
await using python = startPython()
await using go = startGo(temporary.path) ?? null
if (go === null) console.log('no Go compiler here: the known differences of the others are not checked against archive/tar')
const readers = go === null ? [python] : [python, go]
const tally = await run(count, seed, readers, ({ cases }) => cases % 2000 === 0 && console.log(`${cases} …`))
console.log(table(tally, seed, readers))
process.exitCode = tally.disagreements.length === 0 ? 0 : 1
