/**
 * Blocks of a tar on their way from the thread that inflates it to the one that writes its tree: a few slots of shared memory, filled and
 * emptied in turn. Each block is hashed once, in order, by whichever of the two has time: by the first while there is no slot to fill, by the
 * second at the latest when it gives the block back. Both ends count blocks modulo 2³²; block n is in slot n modulo their number, a power of two.
 */
import { type SharedView, sleepOn, wake } from '../sys/shared.ts'
import { BLOCK } from './inflate/inflate.ts'
import { feed, type HashAddress } from './shared-hash.ts'

const SLOTS = 8
/** The control words have a page of their own, and what is said at the end. */
const HEAD = 4096
export const SLOTS_SIZE = HEAD + SLOTS * BLOCK

// Words.
const FILLED = 0
const EMPTIED = 1
const HASHED = 2
const STATE = 3
/** Whoever hashes holds it. */
const HASHING = 4
const TAKER_WAITS = 5
const FILLER_WAITS = 6
/** Nobody wants any more blocks. */
const ENOUGH = 7
/** The tar is the blob as it came, which the first thread hashes already. */
const PLAIN = 8
const LENGTHS = 9
const WORDS = LENGTHS + SLOTS
// Behind them: how much of the blob had been read when a block was complete, and what is said at the end.
const READS_AT = 128
const LAST_WORDS_AT = READS_AT + SLOTS * 8

// States.
const STARTING = 0
const FILLING = 1
const ENDED = 2
/** The other end has given up waiting for the beginning. */
const LEFT = 3

/** The other end may have ended between a look and a sleep; counts that change wake at once. */
const DOZE_MS = 20
/** The end that fills has died without a word, or waits for itself, where nothing moves for so long although there are bytes to inflate. */
const STANDSTILL_MS = 60_000

/** What the end that fills reads from, as the other one sees it. */
type Source = { readonly position: number; readonly isDry: boolean }

class Slots {
  readonly shared: SharedView
  readonly hash: HashAddress
  readonly words: Int32Array
  readonly reads: Float64Array
  readonly #slots: readonly Uint8Array[]

  constructor(shared: SharedView, hash: HashAddress) {
    this.shared = shared
    this.hash = hash
    const { buffer } = shared
    this.words = new Int32Array(buffer, 0, WORDS)
    this.reads = new Float64Array(buffer, READS_AT, SLOTS)
    this.#slots = Array.from({ length: SLOTS }, (_, at) => new Uint8Array(buffer, HEAD + at * BLOCK, BLOCK))
  }

  load(word: number): number {
    return Atomics.load(this.words, word)
  }

  store(word: number, value: number): void {
    Atomics.store(this.words, word, value)
  }

  /** All of the memory that a block is in. */
  slot(number: number): Uint8Array {
    const slot = this.#slots[slotOf(number)]
    if (slot === undefined) throw new RangeError(`no slot ${slotOf(number)}`)
    return slot
  }

  block(number: number): Uint8Array {
    return this.slot(number).subarray(0, this.words[LENGTHS + slotOf(number)])
  }

  /** Hashes the next block that is not; false where the other thread is at it, or there is none. */
  hashNext(): boolean {
    if (Atomics.compareExchange(this.words, HASHING, 0, 1) !== 0) return false
    const next = this.load(HASHED)
    const isThere = next !== this.load(FILLED)
    if (isThere) {
      if (this.load(PLAIN) === 0) feed(this.hash, this.block(next))
      this.store(HASHED, next + 1)
    }
    this.store(HASHING, 0)
    if (isThere) wake(this.shared, HASHED * 4)
    return isThere
  }
}

const slotOf = (number: number): number => number & (SLOTS - 1)

/** The end of the thread that inflates. */
export class SlotFiller {
  readonly #slots: Slots

  constructor(shared: SharedView, hash: HashAddress) {
    this.#slots = new Slots(shared, hash)
  }

  /** False where the other end has given up waiting for this one: then nothing may be read. */
  begin(): boolean {
    return Atomics.compareExchange(this.#slots.words, STATE, STARTING, FILLING) === STARTING
  }

  get isPlain(): boolean {
    return this.#slots.load(PLAIN) === 1
  }

  /** Before the first block: the tar needs no hash of its own. */
  set isPlain(isPlain: boolean) {
    this.#slots.store(PLAIN, isPlain ? 1 : 0)
  }

  /** Nobody wants any more. */
  get isEnough(): boolean {
    return this.#slots.load(ENOUGH) === 1
  }

  /** Memory for the next block: waits for a slot, and hashes what is not hashed meanwhile. */
  memory(): Uint8Array {
    const slots = this.#slots
    const filled = slots.load(FILLED)
    for (;;) {
      const emptied = slots.load(EMPTIED)
      if (((filled - emptied) | 0) < SLOTS || this.isEnough) return slots.slot(filled)
      if (slots.hashNext()) continue
      slots.store(FILLER_WAITS, 1)
      if (slots.load(EMPTIED) === emptied) sleepOn(slots.shared, EMPTIED * 4, emptied, DOZE_MS)
      slots.store(FILLER_WAITS, 0)
    }
  }

  /** The block in `memory()` is complete; `read` bytes of the blob have been read. */
  filled(length: number, read: number): void {
    const slots = this.#slots
    const filled = slots.load(FILLED)
    slots.words[LENGTHS + slotOf(filled)] = length
    slots.reads[slotOf(filled)] = read
    slots.store(FILLED, filled + 1)
    if (slots.load(TAKER_WAITS) === 1) wake(slots.shared, FILLED * 4)
  }

  /** No more will come. `words` are for the other end. */
  end(words: string): void {
    const { shared } = this.#slots
    const bytes = Buffer.from(words)
    const area = Buffer.from(shared.buffer, LAST_WORDS_AT, HEAD - LAST_WORDS_AT)
    if (bytes.length > area.length - 4) throw new RangeError(`${bytes.length} bytes of last words`)
    area.writeUInt32LE(bytes.copy(area, 4), 0)
    this.#slots.store(STATE, ENDED)
    wake(shared, FILLED * 4)
  }
}

/** The end of the thread that writes the tree. */
export class SlotTaker {
  readonly #slots: Slots
  #taken = 0
  #isLent = false
  bytes = 0
  /** Of the blob, when the block given out last was complete. */
  read = 0
  /** In milliseconds: until there was a block, and hashing. */
  waitMs = 0
  hashMs = 0

  readonly #source: Source
  readonly #standstillMs: number
  #seen = { moves: '', at: 0 }

  constructor(shared: SharedView, hash: HashAddress, source: Source, standstillMs = STANDSTILL_MS) {
    this.#slots = new Slots(shared, hash)
    this.#source = source
    this.#standstillMs = standstillMs
  }

  /** False where the other end has begun after all. */
  leave(): boolean {
    return Atomics.compareExchange(this.#slots.words, STATE, STARTING, LEFT) === STARTING
  }

  /** The other end has begun, and has not said its last words. */
  get isFilling(): boolean {
    return this.#slots.load(STATE) === FILLING
  }

  get isPlain(): boolean {
    return this.#slots.load(PLAIN) === 1
  }

  /** The next block, valid until the next call; undefined at the end. */
  next(): Uint8Array | undefined {
    this.#giveBack()
    const began = performance.now()
    const isThere = this.#await()
    this.waitMs += performance.now() - began
    if (!isThere) return undefined
    const block = this.#slots.block(this.#taken)
    this.#isLent = true
    this.bytes += block.length
    this.read = this.#slots.reads[slotOf(this.#taken)] ?? 0
    return block
  }

  /** Waits until the other end is done, whose last words these are; it is told that no more blocks are wanted. */
  lastWords(): string {
    const slots = this.#slots
    slots.store(ENOUGH, 1)
    wake(slots.shared, EMPTIED * 4)
    this.#watch()
    while (slots.load(STATE) !== ENDED) {
      sleepOn(slots.shared, FILLED * 4, slots.load(FILLED), DOZE_MS)
      this.#checkMoving()
    }
    const area = Buffer.from(slots.shared.buffer, LAST_WORDS_AT, HEAD - LAST_WORDS_AT)
    return area.toString('utf8', 4, 4 + area.readUInt32LE(0))
  }

  /** False where the other end has ended and all it filled was taken. */
  #await(): boolean {
    const slots = this.#slots
    this.#watch()
    for (;;) {
      // The state is read before the count: blocks filled before the end are always seen.
      const state = slots.load(STATE)
      const filled = slots.load(FILLED)
      if (filled !== this.#taken) return true
      if (state === ENDED) return false
      slots.store(TAKER_WAITS, 1)
      if (slots.load(FILLED) === filled) sleepOn(slots.shared, FILLED * 4, filled, DOZE_MS)
      slots.store(TAKER_WAITS, 0)
      this.#checkMoving()
    }
  }

  #watch(): void {
    this.#seen = { moves: this.#moves(), at: performance.now() }
  }

  #moves(): string {
    return `${this.#slots.load(FILLED)} ${this.#slots.load(HASHED)} ${this.#source.position}`
  }

  /** Throws where the other end stands still. */
  #checkMoving(mayBeDry = this.#source.isDry): void {
    if (mayBeDry || this.#moves() !== this.#seen.moves) this.#watch()
    else if (performance.now() - this.#seen.at > this.#standstillMs && this.#slots.load(STATE) !== ENDED)
      throw new Error('the thread that inflates stands still')
  }

  #giveBack(): void {
    if (!this.#isLent) return
    const slots = this.#slots
    const began = performance.now()
    this.#watch()
    for (let hashed = slots.load(HASHED); ((this.#taken - hashed) | 0) >= 0; hashed = slots.load(HASHED)) {
      if (slots.hashNext()) continue
      sleepOn(slots.shared, HASHED * 4, hashed, DOZE_MS)
      // Whoever hashes needs no bytes for it.
      this.#checkMoving(false)
    }
    this.hashMs += performance.now() - began
    this.#isLent = false
    this.#taken = (this.#taken + 1) | 0
    slots.store(EMPTIED, this.#taken)
    if (slots.load(FILLER_WAITS) === 1) wake(slots.shared, EMPTIED * 4)
  }
}
