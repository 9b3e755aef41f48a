/** `npm run agreement -- --count 20000 --seed 1`: every archive is read alike by us, GNU tar and Python, or refused by us. */
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startGo, startPython } from './readers.ts'
import { run, table } from './run.ts'

const { values } = parseArgs({ options: { count: { type: 'string', default: '20000' }, seed: { type: 'string', default: '1' } } })
const [count, seed] = [Number(values.count), Number(values.seed)]
await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-agreement-'))
await using python = startPython()
await using go = startGo(temporary.path) ?? null
if (go === null) console.log('no Go compiler here: the known differences of the others are not checked against archive/tar')
const readers = go === null ? [python] : [python, go]
const tally = await run(count, seed, readers, ({ cases }) => cases % 2000 === 0 && console.log(`${cases} …`))
console.log(table(tally, seed, readers))
process.exitCode = tally.disagreements.length === 0 ? 0 : 1
