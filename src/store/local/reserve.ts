/**
 * Space put by for the day the disk is full: a removal is what mends that, and it needs room itself, for the database's journal and for
 * layers.json and images.json, which are written anew. It is a file of allocated blocks; giving it up makes the room.
 */
import { closeSync, openSync, rmSync } from 'node:fs'
import { check, wrap } from '../../sys/libc.ts'

const fallocate = wrap<[fd: number, mode: number, from: number, length: number]>('fallocate', 'int', [
  'int',
  'int',
  'int64',
  'int64',
])
const LEAST = 1024 * 1024

export class Reserve {
  readonly #file: string
  #held = 0

  constructor(file: string) {
    this.#file = file
  }

  /** Puts by at least `bytes`, if there is room: where there is none, or a file system cannot allocate, a later call tries again. */
  fill(bytes: number): void {
    if (this.#held >= bytes && this.#held > 0) return
    // Twice of what is needed now, so that it does not grow with every change.
    const wanted = Math.max(LEAST, 2 * bytes)
    try {
      const fd = openSync(this.#file, 'a', 0o600)
      try {
        check(fallocate(fd, 0, 0, wanted), 'fallocate', this.#file)
        this.#held = wanted
      } finally {
        closeSync(fd)
      }
    } catch {
      this.release()
    }
  }

  release(): void {
    this.#held = 0
    try {
      rmSync(this.#file, { recursive: true, force: true })
    } catch {
      // What does not go is not worth a removal, or a start: it is no more than room, and whoever finds none is told so.
    }
  }
}
