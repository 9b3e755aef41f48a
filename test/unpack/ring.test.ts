import { describe, expect, it } from 'vitest'
import { createRingMemory, RingReader, RingWriter } from '../../src/unpack/ring.ts'

const CAPACITY = 2 ** 22
/** Slots of the control words. */
const [WRITTEN, READ] = [0, 1]

describe('the ring', () => {
  it('loses no wake-up to a reader that empties it just before the writer waits', async () => {
    const memory = createRingMemory()
    const writer = new RingWriter(memory)
    expect(writer.write(new Uint8Array(CAPACITY))).toBeUndefined()
    const words = new Int32Array(memory.control)
    const { notify } = Atomics
    const replaceNotify = (value: unknown) =>
      Object.defineProperty(Atomics, 'notify', { value, configurable: true, writable: true })
    // The writer has found the ring full and says so; before it looks again the reader, who knows of nobody waiting, gives all of
    // it back.
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
