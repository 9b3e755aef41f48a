/** An extractor as the main thread sees it: the socket to a process, and the answer to the job it has. */
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { shrink } from '../sys/footprint.ts'
import type { Rank } from '../sys/rank.ts'
import { createShared } from '../sys/shared.ts'
import { sendWithFds, socketpair } from '../sys/socket.ts'
import { parseAnswer, parseGreeting } from './answer.ts'
import { Lines } from './lines.ts'
import type { Answer, Job } from './messages.ts'
import { RING_SIZE, RingWriter } from './ring.ts'
import type { Started, Warden, Warn } from './warden.ts'

/** How long one that was told to stop, or to go, may take; most of it is writing out what it has read. */
const PATIENCE_MS = 5_000

export class Extractor {
  readonly #fd: number
  readonly #socket: Socket
  readonly #process: Started
  readonly ring: RingWriter
  readonly #lines = new Lines()
  readonly #warn: Warn
  #answer: ((answer: Answer) => void) | undefined
  #patience: NodeJS.Timeout | undefined
  #greeted = false
  #rank: Rank = 'usual'
  #fault: string | undefined
  #isAlive = true

  constructor(warden: Pick<Warden, 'start'>, warn: Warn) {
    using opening = new DisposableStack()
    const memory = createShared(RING_SIZE)
    opening.defer(() => closeSync(memory))
    this.ring = new RingWriter(memory)
    opening.defer(() => this.ring.unmap())
    const [ours, theirs] = socketpair()
    opening.move()
    this.#fd = ours
    this.#warn = warn
    this.#socket = new Socket({ fd: ours, readable: true, writable: true })
    this.#process = warden.start([theirs, memory], () => {
      closeSync(theirs)
      closeSync(memory)
      // What the start took of our own program is not needed again, and the new process is about to take the most that it ever will.
      shrink()
    })
    void this.#process.ended.then((how) => this.#ended(how))
    this.#socket.on('data', (bytes) => this.#take(bytes))
    // Nearly always because it has ended, and how it ended says more than its socket.
    for (const event of ['error', 'end']) this.#socket.on(event, () => this.#hungUp())
    this.#socket.unref()
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  /** Starts a job; the answer never rejects. The descriptors are sent before this returns, and stay the caller's. */
  run(job: Job, fds: readonly number[]): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>()
    this.#answer = resolve
    this.#socket.ref()
    this.ring.open()
    this.#say(JSON.stringify(job), fds)
    return promise
  }

  /** How soon it gets its turn, once it has begun: its start others may have to wait for later. */
  rank(rank: Rank): void {
    this.#rank = rank
    if (this.#greeted) this.#process.rank(rank)
  }

  /** Asks it to leave its job; where that takes too long, ends it. */
  stop(): void {
    this.rank('usual')
    this.ring.abort()
    if (this.#answer === undefined || !this.#isAlive) return
    this.#wait('it did not stop when told to')
  }

  /** Lets an idle one go; resolves when it is gone. */
  async close(): Promise<void> {
    this.#isAlive = false
    this.#socket.destroy()
    // Referenced: whoever closes waits for it.
    const patience = setTimeout(() => this.#process.kill(), PATIENCE_MS)
    await this.#process.ended
    clearTimeout(patience)
  }

  #say(line: string, fds: readonly number[]): void {
    const text = `${line}\n`
    // The socket of one that waits for words is empty: less than all means that nobody reads.
    if (sendWithFds(this.#fd, text, fds) !== Buffer.byteLength(text)) this.#wait('it takes no words')
  }

  #take(bytes: Buffer): void {
    if (this.#fault !== undefined) return
    const lines = this.#lines.take(bytes)
    if (lines === undefined) this.#condemn('it talks too much')
    for (const line of lines ?? []) {
      this.#hear(line)
      if (this.#fault !== undefined) return
    }
  }

  #hear(line: Buffer): void {
    if (line.length === 0) {
      // A flood of them would keep the daemon from everything else.
      if (!this.ring.made()) this.#condemn('it speaks of room that nobody asked for')
      return
    }
    if (!this.#greeted) {
      const greeting = parseGreeting(line)
      this.#greeted = true
      if (greeting === undefined) this.#condemn('it does not know how to begin')
      else if (greeting.refused.length > 0)
        this.#warn({ refused: greeting.refused }, 'an extractor has more rights than it needs')
      this.#process.rank(this.#rank)
      return
    }
    const answer = parseAnswer(line)
    if (answer === undefined) this.#condemn('its answer makes no sense')
    else if (this.#answer === undefined) this.#condemn('it answers what nobody asked')
    else this.#settle(answer)
  }

  #hungUp(): void {
    this.#isAlive = false
    this.#wait('it hung up')
  }

  #wait(fault: string): void {
    this.#patience ??= setTimeout(() => this.#condemn(fault), PATIENCE_MS)
  }

  #settle(answer: Answer): void {
    // Whoever still writes does so in vain.
    this.ring.end()
    clearTimeout(this.#patience)
    this.#patience = undefined
    this.#socket.unref()
    // Before anybody gives it another.
    if (answer.isLast === true) void this.close()
    this.#answer?.(answer)
    this.#answer = undefined
  }

  /** The job it has fails when it is gone, not before: until then it may still write. */
  #condemn(fault: string): void {
    this.#fault ??= fault
    this.#isAlive = false
    this.#process.kill()
  }

  #ended(how: string): void {
    this.#isAlive = false
    this.#socket.destroy()
    const what = `the process that unpacked this layer ended: ${this.#fault ?? how}`
    this.#settle({ ok: false, failure: { kind: 'internal', what } })
    this.ring.unmap()
  }
}
