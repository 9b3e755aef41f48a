/** `npm run network`: pulls over a bad network. */
import { optionsOf, whole } from '../../scripts/options.ts'
import { describe } from '../../src/failure/failure.ts'
import { bad, pullThrough, twice } from './run.ts'

const { pulls, parallel, megabytes, seed } = optionsOf({
  command: 'npm run network',
  about: `Pulls over a link that is late and cuts connections, from a registry that is often unavailable. Fails unless all of them succeed,
    and at most 5 % of the bytes come more than once.`,
  takes: 'two or three minutes',
  root: true,
  options: {
    pulls: whole('N', 100, 'pulls in all'),
    parallel: whole('N', 4, 'of them at once'),
    megabytes: whole('MB', 8, 'size of each image'),
    seed: whole('N', 1, 'the same seed makes the same trouble'),
  },
  examples: [['--pulls 8', 'a look, in seconds']],
})
const outcome = await pullThrough(bad, { pulls, parallel, bytes: megabytes * 1_000_000, seed })
const share = twice(outcome)
console.log(
  `network    ${bad.roundTripMs} ms round trip, ${bad.cuts * 100} % of pieces of 64 KiB cut the connection, ${bad.unavailable * 100} % of requests 503`,
)
console.log(
  `network    ${outcome.pulled} of ${pulls} pulls, ${(outcome.wanted / 1e6).toFixed(0)} MB in ${outcome.seconds.toFixed(0)} s; ${outcome.cuts} cuts, ${outcome.refusals} refusals; ${(share * 100).toFixed(1)} % of the bytes more than once`,
)
for (const failure of outcome.failures) console.log(`failed     ${describe(failure)}`)
process.exitCode = outcome.pulled === pulls && share <= 0.05 ? 0 : 1
