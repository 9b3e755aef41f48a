import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { startRegistry } from '../registry/embedded-registry.ts'
import { buildImage, buildLayer, publish } from '../support/image.ts'
import { openLab } from './lab.ts'

const plain = buildLayer({ tar: [{ name: 'plain', content: randomBytes(3_000_000) }], compression: 'none' })
const zipped = buildLayer({ tar: [{ name: 'zipped', content: randomBytes(3_000_000) }], compression: 'gzip' })

describe('a layer whose bytes are wrong', () => {
  it.each([
    ['by its digest in the end', plain],
    ['by its compression on the way', zipped],
  ])('as is seen %s, from a mirror, comes anew from the registry', async (_, layer) => {
    await using lab = await openLab()
    await using mirror = await startRegistry({
      fault: ({ path }) => (path.endsWith(layer.descriptor.digest) ? { kind: 'corrupt', at: 1_000_000 } : undefined),
    })
    const image = buildImage({ layers: [layer] })
    publish(mirror, 'app', '1', image)
    const request = lab.publish('app:1', image)
    lab.useMirror(mirror.origin)
    expect((await lab.pull(request)).id).toBe(image.id)
    expect(lab.registry.blobGets(layer.descriptor.digest)).toBe(1)
    expect(await lab.staging()).toEqual([])
  })

  it('in one of two answers it was put together from comes anew in one', async () => {
    let round = 0
    await using lab = await openLab()
    const image = buildImage({ layers: [plain] })
    const request = lab.publish('app:1', image)
    lab.registry.fault = ({ path }) => {
      if (!path.endsWith(plain.descriptor.digest)) return undefined
      round++
      if (round === 1) return { kind: 'cut', afterBytes: 2_000_000 }
      return round === 2 ? { kind: 'corrupt', at: 5 } : undefined
    }
    expect((await lab.pull(request)).id).toBe(image.id)
    const ranges = lab.registry.requests.filter(({ path }) => path.endsWith(plain.descriptor.digest)).map(({ range }) => range)
    expect(ranges).toEqual([undefined, 'bytes=2000000-', undefined])
  })

  it('over several connections comes anew over one', async () => {
    await using lab = await openLab({ blobBytesPerSecond: 4_000_000 })
    const large = buildLayer({ tar: [{ name: 'large', content: randomBytes(30_000_000) }], compression: 'none' })
    const image = buildImage({ layers: [large] })
    const request = lab.publish('app:1', image)
    lab.registry.fault = ({ range }) => (range === undefined ? undefined : { kind: 'corrupt', at: 5 })
    expect((await lab.pull(request)).id).toBe(image.id)
    const asked = lab.registry.requests.filter(({ path }) => path.endsWith(large.descriptor.digest)).map(({ range }) => range)
    expect(asked.length).toBeGreaterThan(2)
    expect([asked[0], ...asked.slice(1, -1).filter((range) => range === undefined), asked.at(-1)]).toEqual([undefined, undefined])
  })

  it('in its only answer, from the only host, is not asked for again', async () => {
    await using lab = await openLab()
    const request = lab.publish('app:1', buildImage({ layers: [plain] }))
    lab.registry.fault = ({ path }) => (path.endsWith(plain.descriptor.digest) ? { kind: 'corrupt', at: 5 } : undefined)
    expect(await lab.refusal(request)).toMatchObject({ kind: 'digest-mismatch' })
    expect(lab.registry.blobGets(plain.descriptor.digest)).toBe(1)
  })
})
