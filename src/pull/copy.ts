/** A layer out of another chain's copy of it on this node: its tar is put together again and unpacked like one that was fetched. */
import type { CopyableLayer, StagedLayer } from '../store/store.ts'
import { unlessAborted } from '../task/flights.ts'
import type { LayerSource } from '../unpack/unpack.ts'
import { type Arrival, enter, type Obtained, openUnpacking, rankOf, staging, startMsOf } from './arrival.ts'
import { reportOf } from './layer-report.ts'

/** Told the moment a diffID is unpacked, before its directory moves; undefined when it failed. */
export type Ready = (source: LayerSource | undefined) => void

/** From a committed layer. */
export async function copyTwin(arrival: Arrival, twin: CopyableLayer): Promise<Obtained> {
  await using lease = arrival.store.lease('read')
  await lease.retain([twin.id])
  const { blob } = twin.facts
  return await staging(arrival, async (staged) => {
    const obtained = await replay(arrival, staged, { kind: 'local', diff: twin.diff, tarSplit: twin.tarSplit })
    return blob === undefined ? obtained : { ...obtained, facts: { ...obtained.facts, blob } }
  })
}

/** From a layer that is being unpacked; undefined where that fails. */
export async function copyWhenReady(arrival: Arrival, waiting: Set<Ready>): Promise<Obtained | undefined> {
  const { signal } = arrival
  return await staging(arrival, async (staged) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    let copying: Promise<Obtained> | undefined
    // The source is opened while its owner calls us, so that it cannot move to its place in between.
    const ready: Ready = (source) => {
      if (source !== undefined && !signal.aborted) copying = replay(arrival, staged, source)
      resolve()
    }
    waiting.add(ready)
    try {
      await unlessAborted(promise, signal)
    } catch (error) {
      // The worker must have let go of the staged directory before we do; the signal reaches it by itself.
      await copying?.catch(() => {})
      throw error
    } finally {
      waiting.delete(ready)
    }
    return await copying
  })
}

/** What a finished directory looks like to the one who copies it. */
export const sourceIn = ({ dir }: StagedLayer): LayerSource => ({
  kind: 'local',
  diff: `${dir}/diff`,
  tarSplit: `${dir}/tar-split.gz`,
})

async function replay(arrival: Arrival, staged: StagedLayer, source: LayerSource): Promise<Obtained> {
  const { planned, id, progress, room, signal } = arrival
  await using unpacking = await openUnpacking(arrival, staged, source)
  unpacking.rank(rankOf(arrival))
  progress.isDue = true
  await room.due(id, { signal })
  progress.isDue = false
  enter(progress, 'unpacking')
  const began = performance.now()
  const facts = await unpacking.finish()
  const times = { startMs: startMsOf(began, facts), networkMs: 0, attempts: 0, commitMs: 0 }
  return { staged, facts, report: reportOf('copy', planned, facts, times) }
}
