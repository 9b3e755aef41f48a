import { describe, expect, it } from 'vitest'
import { createRingMemory, RingReader, RingWriter } from '../../src/unpack/ring.ts'

const CAPACITY = 2 ** 22
/** Slots of the control words. */
const [WRITTEN, READ] = [0, 1]

/** Reads until nothing is left, without waiting for more. */
function drain(reader: RingReader, count: number): number {
  let read = 0
  while (read < count) read += reader.next()?.length ?? 0
  return read
}

describe('the ring', () => {
  it('loses no wake-up to a reader that empties it just before the writer waits', async () => {
    const memory = createRingMemory()
    const reader = new RingReader(memory)
    const writer = new RingWriter(memory)
    // Full to the last byte, and read, but the last view is not given back: that happens at the worst moment, below.
    expect(writer.write(new Uint8Array(CAPACITY))).toBeUndefined()
    drain(reader, CAPACITY)
    const words = new Int32Array(memory.control)
    const { notify } = Atomics
    const replaceNotify = (value: unknown) =>
      Object.defineProperty(Atomics, 'notify', { value, configurable: true, writable: true })
    // The writer has found the ring full and tells of what it wrote; before it looks again, all of it is given back, and nobody is
    // known to wait for that.
    replaceNotify((array: Int32Array, index: number) => {
      replaceNotify(notify)
      Atomics.store(words, READ, Atomics.load(words, WRITTEN))
      return notify(array, index)
    })
    try {
      const pending = writer.write(new Uint8Array(1000))
      await Promise.race([pending, new Promise((_, reject) => AbortSignal.timeout(5_000).addEventListener('abort', reject))])
    } finally {
      replaceNotify(notify)
    }
  })

  it('keeps every byte in order past 4 GiB, where its counters wrap', async () => {
    const memory = createRingMemory()
    const words = new Int32Array(memory.control)
    const writer = new RingWriter(memory)
    const reader = new RingReader(memory)
    const start = -3_000_000
    words[0] = start
    words[1] = start
    const chunk = Uint8Array.from({ length: 70_000 }, (_, i) => i % 251)
    let wrong = 0
    for (let round = 0; round < 100; round++) {
      expect(writer.write(chunk)).toBeUndefined()
      for (let at = 0; at < chunk.length; ) {
        const view = reader.next() ?? new Uint8Array(0)
        for (const byte of view) if (byte !== chunk[at++]) wrong++
      }
    }
    expect(wrong).toBe(0)
    expect(words[0]).toBeGreaterThan(0)
  })
})
