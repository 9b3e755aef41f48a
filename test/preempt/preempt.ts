/** `npm run preempt`: a pod's pull over a link that a pull ahead has filled. */
import { amount, oneOf, optionsOf } from '../../scripts/options.ts'
import { preempt, shareOf, timesFetched } from './run.ts'

const trial = optionsOf({
  command: 'npm run preempt',
  about: `A pod's small image, and then a larger one, over a link that a pull ahead of any pod has filled. Fails unless the small one is here
    within a second, the larger one gets 90 % of the link, and no byte comes twice.`,
  takes: 'half a minute',
  root: true,
  needs: 'tc (Debian’s iproute2); with --into containerd, containerd; twice the images in memory',
  options: {
    rate: amount('MB/S', 20, 'what the link carries'),
    warm: amount('MB', 300, 'size of the image that is pulled ahead'),
    small: amount('MB', 4, "size of the pod's small image"),
    large: amount('MB', 80, 'size of the larger one'),
    into: oneOf(['none', 'containerd'], 'none', 'where they land: a store of our own, or a containerd'),
  },
  examples: [['--warm 100 --into containerd', 'less, into a containerd']],
})
const { rate, warm, into } = trial
const outcome = await preempt(trial)
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
