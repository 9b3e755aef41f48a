/** A pull, a verification and the end of a daemon beside a containerd that does not do what is expected. */
import { describe, expect, it } from 'vitest'
import { failureOf } from '../../src/failure/failure.ts'
import { lacking } from '../integration/lacking.ts'
import { buildImage, buildLayer } from '../support/image.ts'
import { platform, startBeside } from './containerd.ts'

const base = buildLayer({
  tar: [
    { name: 'etc/', type: 'dir' },
    { name: 'etc/passwd', content: 'root:x:0:0\n' },
  ],
})
const app = buildImage({ platform, layers: [base, { tar: [{ name: 'kept', content: 'kept' }] }] })

describe.skipIf(lacking('root', 'containerd'))('beside containerd', () => {
  it('a pull of an image that goes while it is looked at publishes it anew', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const name = await node.pull('app:1', app)
    await node.pull('app:1', app)
    let lists = 0
    let hasGone = false
    node.gate.before = async ({ method }) => {
      if (method === 'Images/List') lists++
      // The plan has found its names.
      if (method !== 'Snapshots/Stat' || lists < 2 || hasGone) return
      hasGone = true
      await node.containerd.cri.image.removeImage({ image: { image: name } }, { signal })
      await node.collectNow()
    }
    await node.pull('app:1', app)
    expect(hasGone).toBe(true)
    await node.collectNow()
    expect((await node.store.find(name))?.tags).toEqual([name])
    expect((await node.containerd.cri.image.imageStatus({ image: { image: name } }, { signal })).image?.id).toBe(app.id)
    expect((await node.verify()).verdicts.map((each) => each?.outcome)).toEqual(['sound', 'sound'])
  })

  it('a pull of what is here changes nothing in containerd', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const name = await node.pull('app:1', app)
    await node.pull('app:1', app)
    const calls: string[] = []
    node.gate.before = ({ method }) => void calls.push(method)
    expect(await node.pull('app:1', app)).toBe(name)
    expect(new Set(calls)).toEqual(new Set(['Images/List', 'Snapshots/Stat']))
  })

  it('the end does not wait for a containerd that stands still', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const [started, until] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    node.gate.before = ({ method }) => {
      if (method !== 'Content/Write') return
      started.resolve()
      return until.promise
    }
    const pulling = node.pull('app:1', app).catch((error: unknown) => failureOf(error))
    await started.promise
    const at = performance.now()
    node.store.stopping?.()
    await node.puller.close()
    expect(performance.now() - at).toBeLessThan(15_000)
    expect(await pulling).toMatchObject({ kind: 'cancelled', reason: 'shutdown' })
    until.resolve()
  })

  it('a lease that is gone is not taken for layers that are gone, and the store says that it is lost', async ({ signal }) => {
    await using node = await startBeside({ signal })
    await node.pull('app:1', app)
    await node.restart()
    for (const lease of (await node.containerd.ctr(['leases', 'ls', '-q'], { signal })).split('\n').filter(Boolean))
      await node.containerd.ctr(['leases', 'rm', '--sync', lease], { signal })
    expect(failureOf(await node.verify().catch((error: unknown) => error))).toMatchObject({
      kind: 'runtime',
      detail: expect.stringMatching(/lease of the staging area.* is gone/),
    })
    expect(node.lost.map((error) => failureOf(error).kind)).toContain('runtime')
  })

  it('the first look at an image costs one view, and one lease', async ({ signal }) => {
    await using node = await startBeside({ signal })
    const layers = Array.from({ length: 12 }, (_, i) => ({ tar: [{ name: `f${i}`, content: `${i}` }] }))
    await node.pull('many:1', buildImage({ platform, layers }))
    await node.restart()
    const calls = new Map<string, number>()
    node.gate.before = ({ method }) => void calls.set(method, (calls.get(method) ?? 0) + 1)
    expect(new Set((await node.verify()).verdicts.map((each) => each?.outcome))).toEqual(new Set(['sound']))
    for (const method of ['Snapshots/View', 'Snapshots/Remove', 'Leases/Create', 'Leases/AddResource', 'Leases/Delete'])
      expect([method, calls.get(method)]).toEqual([method, 1])
    // Each layer when it is planned, with those below the topmost once more then; each among the trees, and when its turn comes.
    expect(calls.get('Snapshots/Stat')).toBeLessThan(5 * layers.length)
  })
})
