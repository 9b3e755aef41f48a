/**
 * The blocks of a tar that a second thread inflates and hashes while this one writes the tree. It is started for one layer and ends with it:
 * for a large one that comes alone, while processors have nothing to do.
 */
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import type { Digest } from '../oci/digest.ts'
import { shrink } from '../sys/footprint.ts'
import { createShared, mapShared, type Shared } from '../sys/shared.ts'
import { beside } from '../task/beside.ts'
import { CorruptStream } from './inflate/inflate.ts'
import type { RingReader } from './ring.ts'
import { createHash, digestOf, free, type HashAddress } from './shared-hash.ts'
import { SLOTS_SIZE, SlotTaker } from './slots.ts'
import type { BlobFacts, BlockTimes, TarBlocks } from './tar-blocks.ts'

type Address = Shared['address']

/** What the thread is started with: where the ring is, and the slots, and the hash; `size` is the blob's. */
export type InflatingData = { readonly ring: Address; readonly slots: Address; readonly hash: HashAddress; readonly size: number }

/** What it says at the end. */
export type LastWords =
  | {
      readonly kind: 'blob'
      /** What is wrong with the stream. */
      readonly broken?: string | undefined
      /** Undefined where not all of the blob was read. */
      readonly facts?: BlobFacts | undefined
      /** Its time waiting for bytes. */
      readonly waitMs: number
    }
  | { readonly kind: 'failed'; readonly what: string }

/**
 * How long it may take to begin, and to end. V8 has been seen to wait there for itself: a thread that compiled wanted the garbage collected first,
 * and the one that was to do that waited for the compiler.
 */
const PATIENCE_MS = 5_000
/** Whether it has begun, or ended, in time. */
export type InTime = (work: Promise<unknown>) => Promise<boolean>
const inTime: InTime = (work) => Promise.race([work.then(() => true), delay(PATIENCE_MS, false, { ref: false })])

/**
 * Blocks of the blob of `size` bytes that comes by `ring`, for whose first bytes `waitedMs` have gone by. Undefined where the thread did not
 * begin; nothing of the ring was read then. `onSpent` is called when this process
 * should take no other job: the thread was cut short, or does not end.
 */
export async function inflateBeside(
  ring: RingReader,
  { size, waitedMs, onSpent }: { readonly size: number; readonly waitedMs: number; readonly onSpent: () => void },
  { hasBegun, hasEnded }: { readonly hasBegun: InTime; readonly hasEnded: InTime } = { hasBegun: inTime, hasEnded: inTime },
): Promise<TarBlocks | undefined> {
  // V8's thread compiles nothing more in this process, because of the wait above. On the command line these flags would make another compile
  // cache than the daemon's.
  for (const what of ['sparkplug', 'recompilation']) setFlagsFromString(`--no-concurrent-${what}`)
  const began = performance.now()
  /** There is no thread that could touch what it shares. */
  let isEnded = true
  await using opening = new AsyncDisposableStack()
  const memory = privateMemory()
  opening.defer(() => void (isEnded && memory.unmap()))
  const hash = createHash()
  opening.defer(() => void (isEnded && free(hash)))
  const slots = new SlotTaker(memory, hash, ring)
  const workerData: InflatingData = { ring: ring.address, slots: memory.address, hash, size }
  const thread = new Worker(beside(import.meta.url, 'inflating-thread'), {
    workerData,
    resourceLimits: { maxYoungGenerationSizeMb: 1 },
  })
  isEnded = false
  opening.defer(async () => {
    // Cut short it frees nothing of its own, a zstd window of 128 MiB for one: only the end of this process gives that back.
    if (slots.isFilling) onSpent()
    // Whatever it is at: a native call ends soon, and nothing it shares is needed any more.
    isEnded = await hasEnded(thread.terminate())
    if (!isEnded) onSpent()
  })
  // From then on this thread sleeps while it waits, and hears of nothing. Where there are too many threads already, one is enough.
  const isThere = await hasBegun(once(thread, 'message')).catch(() => false)
  if (!isThere && slots.leave()) return undefined
  // What its start took of the program is not needed again.
  shrink()
  return new BlocksBeside(slots, hash, { waitedMs, startMs: performance.now() - began }, opening.move())
}

function privateMemory(): Shared {
  const fd = createShared(SLOTS_SIZE)
  try {
    return mapShared(fd, SLOTS_SIZE)
  } finally {
    closeSync(fd)
  }
}

class BlocksBeside implements TarBlocks {
  readonly #slots: SlotTaker
  readonly #hash: HashAddress
  readonly #before: { readonly waitedMs: number; readonly startMs: number }
  readonly #opened: AsyncDisposableStack
  #diffId: Digest | undefined

  constructor(
    slots: SlotTaker,
    hash: HashAddress,
    before: { readonly waitedMs: number; readonly startMs: number },
    opened: AsyncDisposableStack,
  ) {
    this.#slots = slots
    this.#hash = hash
    this.#before = before
    this.#opened = opened
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened.disposeAsync()
  }

  next(): Uint8Array | undefined {
    const block = this.#slots.next()
    const { broken } = block === undefined ? this.#lastWords() : {}
    if (broken !== undefined) throw new CorruptStream(broken)
    return block
  }

  get bytes(): number {
    return this.#slots.bytes
  }

  get read(): number {
    return this.#slots.read
  }

  diffId(): Digest {
    this.#diffId ??= this.#slots.isPlain ? this.blob().digest : digestOf(this.#hash)
    return this.#diffId
  }

  blob(): BlobFacts {
    const facts = this.rest()
    if (facts === undefined) throw new Error('a blob that was not read to its end has no digest')
    return facts
  }

  rest(): BlobFacts | undefined {
    return this.#lastWords().facts
  }

  /** Of this thread: for how long it had to wait for the other, which had no bytes for some of it. */
  get times(): BlockTimes {
    const { waitMs, hashMs } = this.#slots
    const { waitedMs, startMs } = this.#before
    const starvedMs = Math.min(waitMs, this.#lastWords().waitMs)
    return { waitMs: waitedMs + starvedMs, inflateMs: startMs + waitMs - starvedMs, hashMs }
  }

  #lastWords(): Exclude<LastWords, { kind: 'failed' }> {
    const words: LastWords = JSON.parse(this.#slots.lastWords())
    if (words.kind === 'failed') throw new Error(`the thread that inflates failed: ${words.what}`)
    return words
  }
}
