/**
 * Starts extractors from a thread that has lost every right an extractor must not have. They begin confined, without a moment before.
 *
 * The thread lives as long as any extractor does: the kernel ends them when it goes, and with it the daemon.
 */
import { once } from 'node:events'
import { stat, writeFile } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import { type Rank, rankProcess } from '../sys/rank.ts'
import type { Territory } from '../sys/territory.ts'
import { beside } from '../task/beside.ts'

/** Tells of what could not be taken away; once per thread. */
export type Warn = (fields: object, message: string) => void

/** A process being started or running. */
export type Started = {
  /** How it ended, for a person ("SIGSEGV", "code 1: what it wrote last"). */
  readonly ended: Promise<string>
  kill(): void
  /** `usual` at the beginning. */
  rank(rank: Rank): void
}

export type WardenOrder = { readonly start: number; readonly fds: readonly number[] } | { readonly kill: number }
export type WardenNews =
  | { readonly refused: readonly string[] }
  | { readonly started: number; readonly pid: number }
  | { readonly ended: number; readonly how: string }

type Child = { onStart: (() => void) | undefined; readonly onEnd: (how: string) => void; pid?: number; rank: Rank }

/** How a process ends when its thread does (prctl(2), PR_SET_PDEATHSIG). */
const WITHOUT_WARDEN = 'the thread that started it has ended'

/** Killed before the daemon where memory runs out. */
const OOM_SCORE = '500'

export class Warden implements AsyncDisposable {
  readonly #territory: Territory
  readonly #warn: Warn
  readonly #children = new Map<number, Child>()
  #thread: Promise<Worker> | undefined
  #count = 0
  #mayRank = true
  /** Which thread is the one in use: how an earlier one ends is no news. */
  #generation = 0
  /** Resolves when every earlier one is gone, with the descriptors it had. */
  #gone: Promise<void> = Promise.resolve()

  constructor(territory: Territory, warn: Warn) {
    this.#territory = territory
    this.#warn = warn
  }

  /** Starts an extractor that inherits `fds`, from 3 on; `onStart` is called when it has them, or never will. */
  start(fds: readonly number[], onStart: () => void): Started {
    const id = this.#count++
    const { promise, resolve } = Promise.withResolvers<string>()
    this.#children.set(id, { onStart, onEnd: resolve, rank: 'usual' })
    this.#thread ??= this.#open()
    this.#thread.then(
      (thread) => thread.postMessage({ start: id, fds } satisfies WardenOrder),
      (error: unknown) => this.#end(id, String(error)),
    )
    return { ended: promise, kill: () => this.#kill(id), rank: (rank) => this.#rank(id, rank) }
  }

  /** Ends what is still there. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#letGo()
    await this.#gone
    for (const id of [...this.#children.keys()]) this.#end(id, WITHOUT_WARDEN)
  }

  #letGo(): void {
    const opening = this.#thread
    if (opening === undefined) return
    this.#thread = undefined
    this.#generation++
    // One that did not begin has told those that wait for it.
    const going = opening.then(
      (thread) => thread.terminate(),
      () => undefined,
    )
    this.#gone = Promise.all([this.#gone, going]).then(() => undefined)
  }

  #rank(id: number, rank: Rank): void {
    const child = this.#children.get(id)
    if (child === undefined || child.rank === rank || !this.#mayRank) return
    child.rank = rank
    if (child.pid === undefined) return
    const refused = rankProcess(child.pid, rank)
    if (refused.length === 0) return
    this.#mayRank = false
    this.#warn({ refused }, 'what is pulled ahead of pods takes as much processor and disk as what they wait for')
  }

  /** Where there is no thread any more, or none came to be, there is no process. */
  #kill(id: number): void {
    if (!this.#children.has(id)) return
    this.#thread?.then(
      (thread) => thread.postMessage({ kill: id } satisfies WardenOrder),
      () => undefined,
    )
  }

  async #open(): Promise<Worker> {
    const generation = ++this.#generation
    // libuv's threads are made once, by whoever first needs one; made by the warden they would be confined, and every file with them.
    await stat('/')
    const thread = new Worker(beside(import.meta.url, 'warden-thread'), {
      workerData: this.#territory,
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: 1 },
    })
    thread.on('message', (news: WardenNews) => this.#hear(news))
    thread.on('error', (error) => this.#lost(generation, error instanceof Error ? error.message : String(error)))
    thread.on('exit', () => this.#lost(generation, WITHOUT_WARDEN))
    await once(thread, 'online')
    return thread
  }

  #hear(news: WardenNews): void {
    if ('refused' in news) {
      if (news.refused.length > 0) this.#warn({ refused: news.refused }, 'layers are unpacked with more rights than they need')
    } else if ('started' in news) {
      const child = this.#children.get(news.started)
      started(child)
      if (child !== undefined) {
        child.pid = news.pid
        const { rank } = child
        child.rank = 'usual'
        this.#rank(news.started, rank)
      }
      writeFile(`/proc/${news.pid}/oom_score_adj`, OOM_SCORE).catch((error: unknown) =>
        this.#warn({ err: error }, 'an extractor keeps the daemon’s own rank when memory runs out'),
      )
    } else this.#end(news.ended, news.how)
  }

  #end(id: number, how: string): void {
    const child = this.#children.get(id)
    this.#children.delete(id)
    started(child)
    child?.onEnd(how)
    if (this.#children.size === 0) this.#letGo()
  }

  #lost(generation: number, how: string): void {
    if (generation !== this.#generation) return
    this.#thread = undefined
    for (const id of [...this.#children.keys()]) this.#end(id, how)
  }
}

function started(child: Child | undefined): void {
  child?.onStart?.()
  if (child !== undefined) child.onStart = undefined
}
