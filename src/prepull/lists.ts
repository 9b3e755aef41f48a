/**
 * The files of a directory of lists, as they are now. kubelet puts a new state of a mounted ConfigMap in place by renaming the link
 * `..data`, which every file in it leads through; a subPath mount never changes.
 */
import { type FSWatcher, watch } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { asWindlassError, describe, type Failure, failureOf } from '../failure/failure.ts'
import type { Abortable } from '../task/task.ts'
import type { ImageList } from './prepull.ts'

/** `isWhole`: every file there is in it as it stands; else the last good state of some, or nothing. */
export type Declared = { readonly lists: readonly ImageList[]; readonly isWhole: boolean }

export type ListFilesParts = {
  readonly dir: string
  /** Throws bad-config. */
  readonly read: (file: string) => readonly ImageList[]
  /** Told at the start, and whenever something else is declared. Must not throw. */
  readonly onChange: (declared: Declared) => void
  readonly log: { info(fields: object, text: string): void; error(fields: object, text: string): void }
  /** By default a second, and a minute. */
  readonly settleMs?: number
  readonly pollMs?: number
}

/** A swap is several events. */
const SETTLE_MS = 1_000
/** Where no event comes: the directory was not there, or its file system tells of none. */
const POLL_MS = 60_000

type Known = { readonly stamp: string; readonly lists: readonly ImageList[]; readonly problem?: string }

export class ListFiles {
  readonly #parts: ListFilesParts
  readonly #files = new Map<string, Known>()
  #told: Declared | undefined
  #dirProblem: string | undefined
  #watcher: FSWatcher | undefined
  #settling: NodeJS.Timeout | undefined
  #reading: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(parts: ListFilesParts) {
    this.#parts = parts
  }

  /** What is wrong with the files, and with the directory, now: one sentence each. */
  get problems(): readonly string[] {
    const ofFiles = [...this.#files.values()].flatMap(({ problem }) => problem ?? [])
    return this.#dirProblem === undefined ? ofFiles : [this.#dirProblem, ...ofFiles]
  }

  /** Reads what is there, then follows it until the signal aborts. */
  async start({ signal }: Abortable): Promise<void> {
    const polling = setInterval(() => void this.reload(), this.#parts.pollMs ?? POLL_MS).unref()
    const stop = (): void => {
      this.#isStopped = true
      clearInterval(polling)
      clearTimeout(this.#settling)
      this.#watcher?.close()
    }
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    await this.reload()
  }

  /** Reads what has changed; one reading after the other. */
  reload(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#read())
    return this.#reading
  }

  async #read(): Promise<void> {
    if (this.#isStopped) return
    // Before the reading: what changes meanwhile is read again.
    this.#watch()
    const names = await this.#names()
    if (names === undefined) return this.#tell()
    for (const gone of [...this.#files.keys()].filter((name) => !names.includes(name))) this.#files.delete(gone)
    for (const name of names) await this.#readFile(name)
    this.#tell()
  }

  /** In their order; undefined where the directory cannot be read, and what was declared holds. */
  async #names(): Promise<readonly string[] | undefined> {
    const { dir, log } = this.#parts
    try {
      const names = await readdir(dir)
      this.#dirProblem = undefined
      return names.filter((name) => /^[^.].*\.ya?ml$/.test(name)).toSorted()
    } catch (error) {
      const problem = `${dir}: the lists cannot be read: ${describe(failureOf(asWindlassError(error)))}`
      if (problem !== this.#dirProblem)
        log.error({ dir, err: error }, 'the directory of lists cannot be read; what was declared before holds')
      this.#dirProblem = problem
      return undefined
    }
  }

  async #readFile(name: string): Promise<void> {
    const { dir, read, log } = this.#parts
    const file = join(dir, name)
    const before = this.#files.get(name)
    const stamp = await stampOf(file)
    // What is wrong with one file may be mended in another.
    if (before?.stamp === stamp && before.problem === undefined) return
    try {
      const lists = read(file)
      const twice = lists.find((list) => this.#others(name).some((other) => other.name === list.name))
      if (twice !== undefined) throw new TwiceError(twice.name)
      this.#files.set(name, { stamp, lists })
    } catch (error) {
      const failure: Failure =
        error instanceof TwiceError
          ? { kind: 'bad-config', file, field: 'metadata.name', reason: `another file has a list ${error.message}` }
          : failureOf(error)
      const problem = describe(failure)
      this.#files.set(name, { stamp, lists: before?.lists ?? [], problem })
      if (problem === before?.problem) return
      log.error(
        { file, failure },
        `${problem}; ${before === undefined ? 'nothing in this file is pulled' : 'its last good state holds'}`,
      )
    }
  }

  #others(name: string): readonly ImageList[] {
    return [...this.#files].flatMap(([other, { lists }]) => (other === name ? [] : lists))
  }

  #tell(): void {
    const lists = [...this.#files.values()].flatMap((known) => known.lists)
    const declared = { lists, isWhole: this.problems.length === 0 }
    if (this.#isStopped || isDeepStrictEqual(declared, this.#told)) return
    this.#told = declared
    this.#parts.log.info({ lists: lists.map(({ name, images }) => ({ name, images: images.length })) }, 'image lists')
    this.#parts.onChange(declared)
  }

  #watch(): void {
    if (this.#watcher !== undefined) return
    try {
      const watcher = watch(this.#parts.dir, { persistent: false }, () => this.#settle())
      this.#watcher = watcher
      // The directory has gone, or events are lost: the next poll watches anew.
      watcher.on('error', () => watcher.close())
      watcher.on('close', () => {
        if (this.#watcher === watcher) this.#watcher = undefined
      })
    } catch {
      // Not there yet, which reading it tells, or no inotify watch left (inotify(7)): the poll finds out what changes.
    }
  }

  #settle(): void {
    clearTimeout(this.#settling)
    this.#settling = setTimeout(() => void this.reload(), this.#parts.settleMs ?? SETTLE_MS).unref()
  }
}

/** A list of this name is another file's. */
class TwiceError extends Error {}

/** Changes whenever what the path leads to does. */
async function stampOf(file: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
  } catch (error) {
    return failureOf(asWindlassError(error)).kind
  }
}
