/** `npm run latency`: how far away a registry feels. */
import { optionsOf, whole } from '../scripts/options.ts'
import { pullLate } from '../test/network/latency.ts'

const { layers } = optionsOf({
  command: 'npm run latency',
  about: `An image of small layers from a registry in this process, over links that are later and later: what is asked, and how many round
    trips go by one after the other.`,
  takes: 'ten seconds',
  root: true,
  options: { layers: whole('N', 40, 'layers of the image') },
  examples: [['--layers 10', 'fewer of them']],
})
const near = await pullLate({ layers, roundTripMs: 0 })
for (const roundTripMs of [50, 200]) {
  const { seconds, requests, connections } = await pullLate({ layers, roundTripMs })
  const asked = Object.entries(requests).map(([name, count]) => `${count} ${name}`)
  const trips = ((seconds - near.seconds) * 1000) / roundTripMs
  console.log(
    `latency    ${layers} layers, ${roundTripMs} ms: ${seconds.toFixed(2)} s, ${(seconds - near.seconds).toFixed(2)} s more than without; ${trips.toFixed(1)} round trips in sequence; ${asked.join(', ')}; ${connections} new connections`,
  )
}
