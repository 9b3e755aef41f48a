/** One pull without a registry: the bytes come from memory as fast as a network would bring them, all else is the product's. */
import { randomUUID } from 'node:crypto'
import { closeSync, constants, openSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { defaults } from '../../src/config/config.ts'
import { WindlassError } from '../../src/failure/failure.ts'
import { type LayerId, layerIds } from '../../src/oci/digest.ts'
import { silent } from '../../src/store/common/log.ts'
import { Thread } from '../../src/store/common/thread.ts'
import { layoutOf } from '../../src/store/local/layout.ts'
import type { LayerRecord } from '../../src/store/local/records.ts'
import { shareOfMachine } from '../../src/sys/cgroup.ts'
import type { Abortable } from '../../src/task/task.ts'
import { createUnpacker } from '../../src/unpack/pool.ts'
import type { UnpackedLayer, Unpacker } from '../../src/unpack/unpack.ts'
import { diffIdOf, type Sample } from './image.ts'
import type { BenchKeeperData, BenchKeeperDuties } from './keeper.ts'
import type { StarterDuties } from './starter.ts'
import { plans, type Way } from './ways.ts'

/** When it began, when all layers were in their places, when the image was on record: ms since the epoch. */
export type Pulled = { readonly began: number; readonly committed: number; readonly sealed: number }

const CHUNK = 64 * 1024
const now = (): number => performance.timeOrigin + performance.now()

type Crew = {
  readonly staging: string
  readonly unpacker: Unpacker
  readonly keeper: Thread<BenchKeeperDuties>
  readonly starter: Thread<StarterDuties>
  readonly way: Way
  readonly network: Network
}

export async function pull(
  root: string,
  { image, layers }: Sample,
  way: Way,
  bytesPerSecond: number,
  { signal }: Abortable,
): Promise<Pulled> {
  await using open = new AsyncDisposableStack()
  const at = layoutOf(root)
  await mkdir(root, { mode: 0o700 })
  const data: BenchKeeperData = { root, way }
  const keeper = open.use(new Thread<BenchKeeperDuties>(new URL('./keeper.ts', import.meta.url), 'keeper', data, silent))
  const starter = open.use(new Thread<StarterDuties>(new URL('./starter.ts', import.meta.url), 'starter', null, silent))
  await keeper.call('open', null)
  const workers = Math.ceil(shareOfMachine().cpus) + 1
  const unpacker = open.use(
    createUnpacker({ workers, limits: defaults.limits, staging: at.staging, layers: at.overlay, warn: () => {} }),
  )
  const crew: Crew = { staging: at.staging, unpacker, keeper, starter, way, network: new Network(bytesPerSecond) }

  const began = now()
  const ids = layerIds(image.config.diffIds)
  const arriving = layers.map((layer) => arrive(crew, layer, { signal }))
  const records: LayerRecord[] = []
  for (const [i, each] of arriving.entries()) records.push(await commit(crew, await each, ids, i))
  const committed = now()
  const written = Promise.all((await Promise.all(arriving)).map((each) => each.written))
  const sealed = await keeper.call('seal', { image, layers: records })
  if (sealed.kind === 'unsynced') throw new WindlassError(sealed.failure)
  for (const outcome of sealed.outcomes) if (outcome.kind === 'failed') throw new WindlassError(outcome.failure)
  const end = now()
  await written
  await keeper.call('close', null)
  return { began, committed, sealed: end }
}

type Arrived = { readonly name: string; readonly facts: UnpackedLayer; readonly written: Promise<unknown> }

async function arrive(
  { staging, unpacker, starter, way, network }: Crew,
  layer: Sample['layers'][number],
  { signal }: Abortable,
): Promise<Arrived> {
  const name = randomUUID()
  const dir = join(staging, name)
  await mkdir(dir, { mode: 0o700 })
  const { digest, size } = layer.descriptor
  const source = { kind: 'blob', digest, size, host: 'memory' } as const
  await using unpacking = await unpacker.open({ dir, diffId: diffIdOf(layer), source }, { signal })
  for (let at = 0; at < size; at += CHUNK) {
    const chunk = layer.blob.subarray(at, at + CHUNK)
    await network.carry(chunk.length, { signal })
    await unpacking.write(chunk)
  }
  const facts = await unpacking.finish()
  const { early } = plans[way]
  if (early === undefined) return { name, facts, written: Promise.resolve(null) }
  // Open before its directory moves. The layer does not wait for what is only begun here.
  const fd = openSync(join(dir, 'diff'), constants.O_RDONLY | constants.O_DIRECTORY)
  return { name, facts, written: starter.call(early, fd).finally(() => closeSync(fd)) }
}

async function commit({ keeper }: Crew, { name, facts }: Arrived, ids: readonly LayerId[], i: number): Promise<LayerRecord> {
  const [id, parent] = [ids[i], ids[i - 1]]
  if (id === undefined) throw new RangeError(`the image has no layer ${i}`)
  const { bytes, inodes, owners } = await keeper.call('commit', { staged: name, id, lowers: ids.slice(0, i).toReversed() })
  const { diffId, diffSize, entries, whiteouts } = facts
  const below = parent === undefined ? {} : { parent }
  const size = { usedBytes: bytes, inodesUsed: inodes }
  return { id, diffId, ...below, facts: { diffSize, entries, whiteouts }, owners, ...size, committedAt: new Date() }
}

/** Brings so many bytes a second, to all layers together. */
class Network {
  readonly #bytesPerMs: number
  #free = now()

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000
  }

  async carry(bytes: number, { signal }: Abortable): Promise<void> {
    this.#free = Math.max(this.#free, now()) + bytes / this.#bytesPerMs
    const wait = this.#free - now()
    // Timers know milliseconds.
    if (wait > 2) await delay(wait, undefined, { signal })
  }
}
