/** `npm run powercut -- --count 200 --seed 1 [--beside]`: power cuts, with `--beside` of containerd too, on an ext4 of its own, and a few without syncfs, which must lose files. */
import { parseArgs } from 'node:util'
import { CONTROLS, runCuts, withoutSync } from './cutting.ts'
import { isClean, table } from './tally.ts'

const { values } = parseArgs({
  options: {
    beside: { type: 'boolean', default: false },
    count: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
  },
})
const { signal } = new AbortController()
const { beside } = values
const tally = await runCuts(Number(values.count), Number(values.seed), {
  signal,
  beside,
  onRun: ({ runs }) => runs % 25 === 0 && console.log(`${runs} cuts …`),
})
const control = await runCuts(CONTROLS, Number(values.seed), { signal, beside, wrapper: withoutSync })
console.log(table([tally]))
console.log(table([{ ...control, corrupt: [] }]))
console.log(`control, syncfs left out: ${control.corrupt.length} corrupt images, as there must be`)
if (control.corrupt.length === 0) console.error('FAILED: without syncfs nothing was lost either, so these cuts prove nothing')
process.exitCode = isClean(tally) && control.corrupt.length > 0 ? 0 : 1
