import { closeSync, ftruncateSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { createShared, mapShared } from '../../src/sys/shared.ts'
import { CAPACITY, RING_SIZE, RingReader, RingWriter } from '../../src/unpack/ring.ts'

/** Slots of the control words. */
const [WRITTEN, READ, WRITER_WAITS] = [0, 1, 3]

/** Both ends in one process, and the words they share. */
function ring(start = 0) {
  const fd = createShared(RING_SIZE)
  const writer = new RingWriter(fd)
  let told = 0
  const reader = new RingReader(mapShared(fd, RING_SIZE), () => {
    told++
    writer.made()
  })
  const words = new Int32Array(mapShared(fd, RING_SIZE).buffer, 0, 8)
  writer.open(start)
  return { fd, writer, reader, words, told: () => told, [Symbol.dispose]: () => closeSync(fd) }
}

const soon = (work: Promise<void> | undefined) =>
  Promise.race([work, new Promise((_, reject) => AbortSignal.timeout(5_000).addEventListener('abort', reject))])

describe('the ring', () => {
  const { store } = Atomics
  afterEach(() => {
    Atomics.store = store
  })

  it('loses no wake-up to a reader that empties it just before the writer waits', async () => {
    using both = ring()
    expect(both.writer.write(new Uint8Array(CAPACITY))).toBeUndefined()
    // The writer has found the ring full and is about to say that it waits; the reader, who does not know, gives all of it back.
    const interfering = (array: Int32Array, index: number, value: number): number => {
      if (index === WRITER_WAITS && value === 1) {
        Atomics.store = store
        store(both.words, READ, Atomics.load(both.words, WRITTEN))
      }
      return store(array, index, value)
    }
    Object.assign(Atomics, { store: interfering })
    await soon(both.writer.write(new Uint8Array(1000)))
  })

  it('says how much nobody has read, and no more than it holds, whatever the reader says', () => {
    using both = ring()
    expect(both.writer.unread).toBe(0)
    both.writer.write(new Uint8Array(300_000))
    expect(both.writer.unread).toBe(300_000)
    // Asking for the next view gives the one before back.
    both.reader.next()
    both.reader.next()
    expect(both.writer.unread).toBe(300_000 - 2 ** 18)
    both.writer.end()
    expect(both.writer.unread).toBe(300_000 - 2 ** 18)
    store(both.words, READ, 400_000)
    expect(both.writer.unread).toBe(CAPACITY)
  })

  it('counts as unread what of a chunk did not fit', async () => {
    using both = ring()
    const pending = both.writer.write(new Uint8Array(CAPACITY + 1000))
    expect(both.writer.unread).toBe(CAPACITY + 1000)
    let told = both.told()
    let before = both.writer.unread
    while (told === 0) {
      both.reader.next()
      told = both.told()
      expect(both.writer.unread).toBeLessThanOrEqual(before)
      before = both.writer.unread
    }
    await soon(pending)
    expect(both.writer.unread).toBe(before)
    both.writer.write(new Uint8Array(CAPACITY))
    both.writer.abort()
    await new Promise(setImmediate)
    expect(both.writer.unread).toBeLessThanOrEqual(CAPACITY)
  })

  it('tells the writer once half of it is free', async () => {
    using both = ring()
    const pending = both.writer.write(new Uint8Array(CAPACITY + 1000))
    const views = (bytes: number): void => {
      for (let read = 0; read < bytes; ) read += both.reader.next()?.length ?? 0
    }
    // Asking for the next view gives the one before back.
    views(CAPACITY / 2)
    expect(both.told()).toBe(0)
    views(2 ** 18)
    expect(both.told()).toBe(1)
    await soon(pending)
  })

  it('keeps every byte in order past 4 GiB, where its counters wrap', () => {
    using both = ring(-3_000_000)
    const chunk = Uint8Array.from({ length: 70_000 }, (_, i) => i % 251)
    let wrong = 0
    for (let round = 0; round < 100; round++) {
      expect(both.writer.write(chunk)).toBeUndefined()
      for (let at = 0; at < chunk.length; ) {
        const view = both.reader.next() ?? new Uint8Array(0)
        for (const byte of view) if (byte !== chunk[at++]) wrong++
      }
    }
    expect(wrong).toBe(0)
    expect(both.words[WRITTEN]).toBeGreaterThan(0)
  })

  it('writes nothing outside itself whatever the reader claims, and lets go at the end', async () => {
    for (const claim of [-1, 1, 2 ** 31 - 1, -(2 ** 31)]) {
      using both = ring()
      Atomics.store(both.words, READ, claim)
      const pending = both.writer.write(new Uint8Array(3 * CAPACITY))
      Atomics.store(both.words, READ, claim)
      both.writer.made()
      both.writer.abort()
      await soon(pending)
    }
  })

  it('cannot be cut short by the one who holds its other end', () => {
    using both = ring()
    expect(() => ftruncateSync(both.fd, 0)).toThrow('EPERM')
    expect(both.writer.write(new Uint8Array(1000))).toBeUndefined()
  })

  it('is not touched once it is gone', () => {
    using both = ring()
    both.writer.unmap()
    both.writer.open()
    expect(both.writer.write(new Uint8Array(1000))).toBeUndefined()
    both.writer.end()
    both.writer.unmap()
  })
})
