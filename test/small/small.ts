/**
 * `npm run small -- --memory 384 --cpus 0.5`: the image of the benchmark (520 MB, 1.39 GB unpacked) pulled within so many MiB and CPUs, onto
 * a fresh ext4. It fails where anything was killed for want of memory. Needs root; the image is made first where it is not there yet.
 */
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { benchCache, benchImage, pushBenchImage } from '../../bench/images/images.ts'
import { Disk } from '../crash/disk.ts'
import { startDockerRegistry } from '../registry/docker-registry.ts'
import { makeGroup } from './group.ts'
import { pullSmall } from './run.ts'

const { values } = parseArgs({
  options: { memory: { type: 'string', default: '384' }, cpus: { type: 'string', default: '0.5' } },
})
const number = z.coerce.number().positive()
const { memory: memoryMib, cpus } = z.object({ memory: number, cpus: number }).parse(values)
const stop = new AbortController()
process.once('SIGINT', () => stop.abort(new Error('stopped by SIGINT')))
const { signal } = stop
const made = await benchImage('debian', 'gzip', (text) => console.error(text), { signal })
await using registry = await startDockerRegistry({ dir: join(benchCache, 'registry') })
const image = await pushBenchImage(registry.host, made, { signal })
using disk = new Disk('4G')
using group = makeGroup({ memoryMib, cpus })
const { seconds, peakBytes, oomKills, limitHits } = await pullSmall({ group, dir: disk.dir, image, imageId: made.imageId }, stop)
console.log(`memory ${memoryMib} MiB, ${cpus} CPU, ext4; load ${loadavg()[0]?.toFixed(1)}`)
console.log(`pulled in ${seconds.toFixed(0)} s; at most ${Math.round(peakBytes / 2 ** 20)} MiB, page cache included`)
console.log(`the kernel made room ${limitHits} times; oom_kill ${oomKills}`)
if (oomKills > 0) process.exitCode = 1
