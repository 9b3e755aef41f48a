/**
 * A byte ring in shared memory between the main thread, which must never block, and one worker, which may: the writer copies network
 * chunks in and gets a promise when it is full, the reader waits with `Atomics.wait` and reads in place. One copy a byte, no messages.
 *
 * Both ends count bytes modulo 2³²; the capacity is a power of two, so differences and positions stay right when the counters wrap.
 */

const CAPACITY = 2 ** 22
/** The reader is woken for, and hands out, at most this much at a time: small enough to stay in the second-level cache. */
const VIEW = 2 ** 18

// Slots of the control words.
const WRITTEN = 0
const READ = 1
const STATE = 2
const WRITER_WAITS = 3

const OPEN = 0
const ENDED = 1
const ABORTED = 2

/** What both ends share; handed to the worker once, when it starts. */
export type RingMemory = { readonly control: SharedArrayBuffer; readonly data: SharedArrayBuffer }

export const createRingMemory = (): RingMemory => ({ control: new SharedArrayBuffer(16), data: new SharedArrayBuffer(CAPACITY) })

/** The main thread's end, for one job: the next job's writer must not get the bytes of one that was stopped while it waited. */
export class RingWriter {
  readonly #control: Int32Array
  readonly #data: Uint8Array
  #blockedMs = 0
  #closed = false

  /** Empties the ring. The reader must be idle. */
  constructor(memory: RingMemory) {
    this.#control = new Int32Array(memory.control).fill(0)
    this.#data = new Uint8Array(memory.data)
  }

  /** Milliseconds `write` waited for the reader. */
  get blockedMs(): number {
    return this.#blockedMs
  }

  /** Copies `chunk` in. A promise means the ring is full; it resolves once all of the chunk is in, or the reader is gone. */
  write(chunk: Uint8Array): Promise<void> | undefined {
    const taken = this.#copy(chunk)
    return taken === chunk.length ? undefined : this.#drain(chunk.subarray(taken))
  }

  /** No more bytes will come. */
  end(): void {
    this.#setState(ENDED)
  }

  /** Tells the reader to stop at its next look, and lets a `write` that waits go on into nothing. */
  abort(): void {
    this.#setState(ABORTED)
    this.#closed = true
  }

  async #drain(chunk: Uint8Array): Promise<void> {
    // The chunk is the network client's memory, valid only until `write` returns: what waits is a copy.
    let rest = Uint8Array.from(chunk)
    const start = performance.now()
    while (rest.length > 0 && !this.#closed) {
      const seen = Atomics.load(this.#control, READ)
      Atomics.store(this.#control, WRITER_WAITS, 1)
      // Looked at again only now that the reader knows we wait: what it gave back before, it woke nobody for.
      const wait = this.#free() > 0 ? undefined : Atomics.waitAsync(this.#control, READ, seen)
      if (wait?.async) await wait.value
      if (this.#closed) break
      Atomics.store(this.#control, WRITER_WAITS, 0)
      rest = rest.subarray(this.#copy(rest))
    }
    this.#blockedMs += performance.now() - start
  }

  #free(): number {
    return CAPACITY - ((Atomics.load(this.#control, WRITTEN) - Atomics.load(this.#control, READ)) >>> 0)
  }

  #copy(chunk: Uint8Array): number {
    const written = Atomics.load(this.#control, WRITTEN)
    const length = Math.min(chunk.length, this.#free())
    const at = written & (CAPACITY - 1)
    const first = Math.min(length, CAPACITY - at)
    this.#data.set(first === chunk.length ? chunk : chunk.subarray(0, first), at)
    if (length > first) this.#data.set(chunk.subarray(first, length), 0)
    Atomics.store(this.#control, WRITTEN, (written + length) | 0)
    Atomics.notify(this.#control, WRITTEN)
    return length
  }

  #setState(state: number): void {
    Atomics.store(this.#control, STATE, state)
    // The reader sleeps on the count of bytes, which has not changed: it looks at the state whenever it is woken.
    Atomics.notify(this.#control, WRITTEN)
    Atomics.notify(this.#control, READ)
  }
}

/** The worker's end. */
export class RingReader {
  readonly #control: Int32Array
  readonly #data: Uint8Array
  #lent = 0
  #waitMs = 0

  constructor(memory: RingMemory) {
    this.#control = new Int32Array(memory.control)
    this.#data = new Uint8Array(memory.data)
  }

  get waitMs(): number {
    return this.#waitMs
  }

  /** Forgets the view of a job that ended early; the writer resets the counts. */
  reset(): void {
    this.#lent = 0
  }

  /** True once the main thread asked to stop. */
  get aborted(): boolean {
    return Atomics.load(this.#control, STATE) === ABORTED
  }

  /** The next bytes, in place: the view is valid until the next call. Undefined at the end, or when the job was aborted. */
  next(): Uint8Array | undefined {
    this.#giveBack()
    const read = Atomics.load(this.#control, READ)
    let available = this.#available(read)
    if (available === 0) {
      const start = performance.now()
      available = this.#wait(read)
      this.#waitMs += performance.now() - start
      if (available === 0) return undefined
    }
    const at = read & (CAPACITY - 1)
    this.#lent = Math.min(available, VIEW, CAPACITY - at)
    return this.#data.subarray(at, at + this.#lent)
  }

  #available(read: number): number {
    if (this.aborted) return 0
    return (Atomics.load(this.#control, WRITTEN) - read) >>> 0
  }

  #wait(read: number): number {
    for (;;) {
      // The state is read before the count: bytes written before `end` are always seen.
      const state = Atomics.load(this.#control, STATE)
      const available = this.#available(read)
      if (available > 0 || state !== OPEN) return available
      // The timeout covers a state set between the look above and the wait; `end` and `abort` change no count.
      Atomics.wait(this.#control, WRITTEN, read, 20)
    }
  }

  #giveBack(): void {
    if (this.#lent === 0) return
    const read = (Atomics.load(this.#control, READ) + this.#lent) | 0
    Atomics.store(this.#control, READ, read)
    this.#lent = 0
    const used = (Atomics.load(this.#control, WRITTEN) - read) >>> 0
    // Waking the writer for every view would cost the main thread more than the copy itself: half the ring must be free.
    if (used <= CAPACITY / 2 && Atomics.load(this.#control, WRITER_WAITS) === 1) Atomics.notify(this.#control, READ)
  }
}
