/** The thread that inflates: takes a blob from the ring, hashes it, and fills slots with its tar (slots.ts). */
import { writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { viewShared } from '../sys/shared.ts'
import { createInflater } from './inflate/create.ts'
import { CorruptStream } from './inflate/inflate.ts'
import { Input } from './inflate/input.ts'
import type { InflatingData, LastWords } from './inflating.ts'
import { CONTROL_FD } from './messages.ts'
import { RING_SIZE, RingReader } from './ring.ts'
import { SLOTS_SIZE, SlotFiller } from './slots.ts'
import { Tally } from './tally.ts'
import { readRest } from './tar-blocks.ts'

/** Of what went wrong, in characters. */
const MAX_WORDS = 300

// The warden loads this file only to have it compiled.
if ('slots' in workerData) serve(workerData)

function serve({ slots: at, ring, hash, size }: InflatingData): void {
  const slots = new SlotFiller(viewShared(at, SLOTS_SIZE), hash)
  const reader = new RingReader(viewShared(ring, RING_SIZE), () => void writeSync(CONTROL_FD, '\n'))
  if (!slots.begin()) return
  parentPort?.postMessage('ready')
  slots.end(JSON.stringify(inflate(slots, reader, size)))
}

function inflate(slots: SlotFiller, ring: RingReader, size: number): LastWords {
  const blob = new Tally(() => ring.next())
  try {
    const broken = fill(slots, blob)
    // What nobody wants any more, or cannot be read on: the blob's own digest says whose fault it is.
    const isRead = (broken === undefined && !slots.isEnough) || readRest(blob, size)
    return {
      kind: 'blob',
      broken,
      facts: isRead ? { bytes: blob.bytes, digest: blob.digest() } : undefined,
      waitMs: ring.waitMs,
    }
  } catch (error) {
    return { kind: 'failed', what: String(error).slice(0, MAX_WORDS) }
  }
}

/** Gives what is wrong with the stream, if anything is. */
function fill(slots: SlotFiller, blob: Tally): string | undefined {
  using inflater = createInflater(new Input(blob.next), () => slots.memory())
  slots.isPlain = inflater.codec === 'none'
  try {
    for (let block = inflater.next(); block !== undefined && !slots.isEnough; block = inflater.next())
      if (slots.isPlain) copy(slots, block, blob.bytes)
      else slots.filled(block.length, blob.bytes)
    return undefined
  } catch (error) {
    if (error instanceof CorruptStream) return error.message.slice(0, MAX_WORDS)
    throw error
  }
}

/** Bytes that are not compressed are still in the ring. */
function copy(slots: SlotFiller, bytes: Uint8Array, read: number): void {
  for (let rest = bytes; rest.length > 0; ) {
    const memory = slots.memory()
    const piece = rest.subarray(0, memory.length)
    memory.set(piece)
    slots.filled(piece.length, read)
    rest = rest.subarray(piece.length)
  }
}
