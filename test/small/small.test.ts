/** The share of `npm run small` that is made every time. */
import { expect, it } from 'vitest'
import { Disk } from '../crash/disk.ts'
import { lacking } from '../integration/lacking.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { largeImage, putAll } from '../steady/burden.ts'
import { tryGroup } from './group.ts'
import { pullSmall } from './run.ts'

const MEMORY_MIB = 256

it.skipIf(lacking('root', 'mkfs.ext4'))(
  'a pull of more than its memory, on half a CPU: nothing is killed',
  async ({ signal, skip }) => {
    using group = tryGroup({ memoryMib: MEMORY_MIB, cpus: 0.5 }) ?? skip('no control group with a limit can be made here')
    await using registry = await startRegistry()
    const large = largeImage(0, 1.25 * MEMORY_MIB)
    putAll(registry, [large])
    using disk = new Disk('1G')
    const image = `${registry.host}/${large.name}:1`
    const { peakBytes, oomKills } = await pullSmall({ group, dir: disk.dir, image, imageId: large.image.id }, { signal })
    expect(peakBytes / 2 ** 20).toBeGreaterThan(MEMORY_MIB / 2)
    expect(oomKills).toBe(0)
  },
  // Half a CPU, on a machine that may be busy.
  240_000,
)
