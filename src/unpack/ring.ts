/**
 * A byte ring in memory shared with one extractor: the writer, which must never block, copies network chunks in and gets a promise when
 * it is full; the reader, which may, sleeps until there is something and reads in place. One copy a byte.
 *
 * Both ends count bytes modulo 2³²; the capacity is a power of two, so differences and positions stay right when the counters wrap. The
 * other end may have been taken over: the writer believes its own count, and takes the reader's for no more than room in the ring.
 */
import { mapShared, type Shared, type SharedView, sleepOn, wake } from '../sys/shared.ts'

export const CAPACITY = 2 ** 20
/** The control words have a page of their own, before the bytes. */
const HEAD = 4096
export const RING_SIZE = HEAD + CAPACITY
/** Handed out at most this much at a time: small enough to stay in the second-level cache. */
const VIEW = 2 ** 18

// Slots of the control words.
const WRITTEN = 0
const READ = 1
const STATE = 2
const WRITER_WAITS = 3
const READER_WAITS = 4
/** How far a job has come, in KiB: of the tar. */
const PROGRESS = 5
/** With the first bytes: processors that have nothing else to do than this job. */
const PROCESSORS = 6

const OPEN = 0
const ENDED = 1
const ABORTED = 2

/** The daemon's end of an extractor's ring, for one job after the other. */
export class RingWriter {
  readonly #shared: Shared
  readonly #control: Int32Array
  readonly #data: Uint8Array
  #written = 0
  #blockedMs = 0
  /** Bytes of a `write` that are not in the ring yet. */
  #waiting = 0
  #closed = true
  #unmapped = false
  #room: (() => void) | undefined
  /** How often the reader was asked for room and has not answered; it need not. */
  #asked = 0

  constructor(fd: number) {
    this.#shared = mapShared(fd, RING_SIZE)
    this.#control = new Int32Array(this.#shared.buffer, 0, 8)
    this.#data = new Uint8Array(this.#shared.buffer, HEAD, CAPACITY)
  }

  /** Empties it for the next job, with the counts at `start`. The reader must be idle. */
  open(start = 0): void {
    // Memory that is mapped no more must not be touched; what is written goes nowhere, and the reader's end is told elsewhere.
    if (this.#unmapped) return
    this.#control.fill(0)
    this.#control[WRITTEN] = start
    this.#control[READ] = start
    this.#written = start
    this.#blockedMs = 0
    this.#waiting = 0
    this.#asked = 0
    this.#closed = false
  }

  /** Milliseconds `write` waited for the reader, in this job. */
  get blockedMs(): number {
    return this.#blockedMs
  }

  /** How many bytes the reader has not taken yet: by its own word, no more than the ring holds and what waits to get in. */
  get unread(): number {
    return this.#unmapped ? 0 : CAPACITY - this.#free() + this.#waiting
  }

  /** How many bytes the reader says it is through with: its own word, for whoever watches. */
  get reported(): number {
    return this.#unmapped ? 0 : (Atomics.load(this.#control, PROGRESS) >>> 0) * 1024
  }

  /** Tells the reader, before the first `write`, how many processors it may use. */
  grant(processors: number): void {
    if (!this.#closed) Atomics.store(this.#control, PROCESSORS, processors)
  }

  /** Copies `chunk` in. A promise means the ring is full; it resolves once all of the chunk is in, or the job is over. */
  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#closed) return undefined
    const taken = this.#copy(chunk)
    return taken === chunk.length ? undefined : this.#drain(chunk.subarray(taken))
  }

  /** No more bytes will come. */
  end(): void {
    this.#close(ENDED)
  }

  /** Tells the reader to stop at its next look, and lets a `write` that waits go on into nothing. */
  abort(): void {
    this.#close(ABORTED)
  }

  /** The reader says that it has made room. False where it was not asked for so many. */
  made(): boolean {
    this.#letIn()
    return this.#asked-- > 0
  }

  /** The reader is gone. */
  unmap(): void {
    if (this.#unmapped) return
    this.#unmapped = true
    this.#closed = true
    this.#letIn()
    this.#shared.unmap()
  }

  async #drain(chunk: Uint8Array): Promise<void> {
    // The chunk is the network client's memory, valid only until `write` returns: what waits is a copy.
    let rest = Uint8Array.from(chunk)
    const start = performance.now()
    this.#waiting = rest.length
    while (rest.length > 0 && !this.#closed) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#room = resolve
      this.#asked++
      Atomics.store(this.#control, WRITER_WAITS, 1)
      // Looked at again only now that the reader knows we wait: of what it gave back before, it told nobody.
      if (this.#free() === 0) await promise
      if (this.#closed) break
      Atomics.store(this.#control, WRITER_WAITS, 0)
      rest = rest.subarray(this.#copy(rest))
      this.#waiting = rest.length
    }
    this.#waiting = 0
    this.#blockedMs += performance.now() - start
  }

  #free(): number {
    const used = (this.#written - Atomics.load(this.#control, READ)) >>> 0
    return Math.max(0, CAPACITY - used)
  }

  #copy(chunk: Uint8Array): number {
    const length = Math.min(chunk.length, this.#free())
    const at = this.#written & (CAPACITY - 1)
    const first = Math.min(length, CAPACITY - at)
    this.#data.set(first === chunk.length ? chunk : chunk.subarray(0, first), at)
    if (length > first) this.#data.set(chunk.subarray(first, length), 0)
    this.#written = (this.#written + length) | 0
    Atomics.store(this.#control, WRITTEN, this.#written)
    if (Atomics.load(this.#control, READER_WAITS) === 1) wake(this.#shared, WRITTEN * 4)
    return length
  }

  #close(state: number): void {
    if (this.#closed) return
    this.#closed = true
    Atomics.store(this.#control, STATE, state)
    wake(this.#shared, WRITTEN * 4)
    this.#letIn()
  }

  #letIn(): void {
    this.#room?.()
    this.#room = undefined
  }
}

/** The extractor's end. */
export class RingReader {
  readonly #shared: SharedView
  readonly #control: Int32Array
  readonly #data: Uint8Array
  readonly #madeRoom: () => void
  #lent = 0
  #waitMs = 0

  /** `shared` is `RING_SIZE` bytes; `madeRoom` tells the writer, who waits for it. */
  constructor(shared: SharedView, madeRoom: () => void) {
    this.#shared = shared
    this.#control = new Int32Array(shared.buffer, 0, 8)
    this.#data = new Uint8Array(shared.buffer, HEAD, CAPACITY)
    this.#madeRoom = madeRoom
  }

  /** Where it is, for a reader on another thread: of the two, one may read a job. */
  get address(): number | bigint {
    return this.#shared.address
  }

  get waitMs(): number {
    return this.#waitMs
  }

  /** Forgets the view of a job that ended early; the writer resets the counts. */
  reset(): void {
    this.#lent = 0
  }

  /** Says how far the job has come: so many bytes of the tar. */
  report(bytes: number): void {
    Atomics.store(this.#control, PROGRESS, Math.floor(bytes / 1024))
  }

  /** How much was read, modulo 2³². */
  get position(): number {
    return Atomics.load(this.#control, READ)
  }

  /** There is nothing to read yet. */
  get isDry(): boolean {
    return Atomics.load(this.#control, STATE) === OPEN && Atomics.load(this.#control, WRITTEN) === this.position
  }

  /** True once the daemon asked to stop. */
  get aborted(): boolean {
    return Atomics.load(this.#control, STATE) === ABORTED
  }

  /** Waits for the first bytes, and what was granted with them: how many processors they may take. */
  granted(): number {
    const read = Atomics.load(this.#control, READ)
    if (this.#available(read) === 0) this.#waitFor(read)
    return Math.max(1, Atomics.load(this.#control, PROCESSORS))
  }

  /** The next bytes, in place: the view is valid until the next call. Undefined at the end, or when the job was aborted. */
  next(): Uint8Array | undefined {
    this.#giveBack()
    const read = Atomics.load(this.#control, READ)
    let available = this.#available(read)
    if (available === 0) available = this.#waitFor(read)
    if (available === 0) return undefined
    const at = read & (CAPACITY - 1)
    this.#lent = Math.min(available, VIEW, CAPACITY - at)
    return this.#data.subarray(at, at + this.#lent)
  }

  #available(read: number): number {
    if (this.aborted) return 0
    return (Atomics.load(this.#control, WRITTEN) - read) >>> 0
  }

  #waitFor(read: number): number {
    const start = performance.now()
    const available = this.#wait(read)
    this.#waitMs += performance.now() - start
    return available
  }

  #wait(read: number): number {
    for (;;) {
      Atomics.store(this.#control, READER_WAITS, 1)
      // The state is read before the count: bytes written before `end` are always seen.
      const state = Atomics.load(this.#control, STATE)
      const available = this.#available(read)
      if (available > 0 || state !== OPEN) {
        Atomics.store(this.#control, READER_WAITS, 0)
        return available
      }
      // The timeout covers a state set between the look above and the sleep; `end` and `abort` change no count.
      sleepOn(this.#shared, WRITTEN * 4, read, 20)
    }
  }

  #giveBack(): void {
    if (this.#lent === 0) return
    const read = (Atomics.load(this.#control, READ) + this.#lent) | 0
    Atomics.store(this.#control, READ, read)
    this.#lent = 0
    const used = (Atomics.load(this.#control, WRITTEN) - read) >>> 0
    // Telling the writer of every view would cost it more than the copy itself: half the ring must be free.
    if (used <= CAPACITY / 2 && Atomics.load(this.#control, WRITER_WAITS) === 1) {
      Atomics.store(this.#control, WRITER_WAITS, 0)
      this.#madeRoom()
    }
  }
}
