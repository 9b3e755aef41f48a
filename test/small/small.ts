/** `npm run small`: the image of the benchmark pulled by a daemon that has little memory and CPU. */
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { benchCache, benchImage, pushBenchImage } from '../../bench/images/images.ts'
import { amount, optionsOf } from '../../scripts/options.ts'
import { Disk } from '../crash/disk.ts'
import { startDockerRegistry } from '../registry/docker-registry.ts'
import { makeGroup } from './group.ts'
import { pullSmall } from './run.ts'

const { memory: memoryMib, cpus } = optionsOf({
  command: 'npm run small',
  about: `The image of the benchmark (520 MB, 1.39 GB unpacked) pulled within so much memory and CPU, onto a fresh ext4. Fails where anything
    was killed for want of memory.`,
  takes: 'a minute; the first time some more, in which the image is made, as for npm run bench',
  root: true,
  needs: 'docker-registry and, to make the image, mmdebstrap; 4 GB in the temporary directory',
  options: { memory: amount('MIB', 384, 'what daemon and children may have'), cpus: amount('N', 0.5, 'CPUs they may use') },
  examples: [['--memory 256 --cpus 0.25', 'a smaller node still']],
})
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
