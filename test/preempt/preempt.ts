/**
 * `npm run preempt`: a pod's small image, and a larger one, over a link that a pull ahead has filled: `-- --rate 20 --warm 200 --into containerd`.
 * Fails unless the small one is here within a second, the larger one gets 90 % of the link, and no byte comes twice.
 */
import { parseArgs } from 'node:util'
import { preempt, shareOf, timesFetched } from './run.ts'

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '20' },
    warm: { type: 'string', default: '300' },
    small: { type: 'string', default: '4' },
    large: { type: 'string', default: '80' },
    into: { type: 'string', default: 'none' },
  },
})
const into = values.into === 'containerd' ? 'containerd' : 'none'
const [rate, warm] = [Number(values.rate), Number(values.warm)]
const outcome = await preempt({ rate, warm, small: Number(values.small), large: Number(values.large), into })
console.log(
  `preempt    a link of ${rate} MB/s, ${warm} MB on their way ahead of any pod${into === 'none' ? '' : ', into containerd'}`,
)
for (const pod of outcome.pods) {
  const percent = `${(shareOf(pod) * 100).toFixed(0)} % of what the link carried meanwhile`
  const left = `${(pod.warmLeft / 1e6).toFixed(0)} MB ahead still to come`
  console.log(`pod        ${(pod.bytes / 1e6).toFixed(0)} MB in ${(pod.ms / 1000).toFixed(2)} s, ${percent}; ${left}`)
}
const times = timesFetched(outcome)
console.log(`bytes      each came ${times.toFixed(2)} times`)
const [first, second] = outcome.pods
const isGood = first !== undefined && second !== undefined && first.ms < 1000 && shareOf(second) >= 0.9 && times < 1.02
console.log(
  isGood ? 'good       under 1 s, 90 % of the link, no byte twice' : 'FAILED     want under 1 s, 90 % of the link, no byte twice',
)
process.exitCode = isGood ? 0 : 1
