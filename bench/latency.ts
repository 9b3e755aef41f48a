/**
 * How far away a registry feels: an image of 40 small layers over links that are later and later, what was asked, and how many round trips
 * went by one after the other. `npm run latency`, `-- --layers 40`.
 */
import { parseArgs } from 'node:util'
import { pullLate } from '../test/network/latency.ts'

const { values } = parseArgs({ options: { layers: { type: 'string', default: '40' } } })
const layers = Number(values.layers)
const near = await pullLate({ layers, roundTripMs: 0 })
for (const roundTripMs of [50, 200]) {
  const { seconds, requests, connections } = await pullLate({ layers, roundTripMs })
  const asked = Object.entries(requests).map(([name, count]) => `${count} ${name}`)
  const trips = ((seconds - near.seconds) * 1000) / roundTripMs
  console.log(
    `latency    ${layers} layers, ${roundTripMs} ms: ${seconds.toFixed(2)} s, ${(seconds - near.seconds).toFixed(2)} s more than without; ${trips.toFixed(1)} round trips in sequence; ${asked.join(', ')}; ${connections} new connections`,
  )
}
