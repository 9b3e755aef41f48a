/** `npm run powercut`: power cuts at random points. */
import { flag, optionsOf, whole } from '../../scripts/options.ts'
import { CONTROLS, runCuts, withoutSync } from './cutting.ts'
import { isClean, table } from './tally.ts'

const { beside, count, seed } = optionsOf({
  command: 'npm run powercut',
  about: `Power cuts at random points, on an ext4 of its own, and a few without syncfs, which must lose files: else the others prove nothing.
    Fails where an image that was answered for is not whole.`,
  takes: 'half an hour or more',
  root: true,
  needs: 'mkfs.ext4, loop devices, strace; with --beside containerd and runc',
  options: {
    beside: flag('of a containerd too, into which the images land'),
    count: whole('N', 200, 'power cuts'),
    seed: whole('N', 1, 'the same seed cuts at the same points, as far as clocks allow'),
  },
  examples: [['--count 10', 'a look, in minutes']],
})
const { signal } = new AbortController()
const tally = await runCuts(count, seed, {
  signal,
  beside,
  onRun: ({ runs }) => runs % 25 === 0 && console.log(`${runs} cuts …`),
})
const control = await runCuts(CONTROLS, seed, { signal, beside, wrapper: withoutSync })
console.log(table([tally]))
console.log(table([{ ...control, corrupt: [] }]))
console.log(`control, syncfs left out: ${control.corrupt.length} corrupt images, as there must be`)
if (control.corrupt.length === 0) console.error('FAILED: without syncfs nothing was lost either, so these cuts prove nothing')
process.exitCode = isClean(tally) && control.corrupt.length > 0 ? 0 : 1
