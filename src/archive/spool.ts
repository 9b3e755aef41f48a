/**
 * A file without a name that goes with its descriptor: where an archive is written that cannot be read about in, because it is compressed
 * or comes through a pipe.
 */

import { randomBytes } from 'node:crypto'
import { closeSync, openSync, unlinkSync, write as writeCallback } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { setImmediate as turn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { fail } from '../failure/failure.ts'
import type { Abortable } from '../task/task.ts'
import { CorruptStream, inflated } from '../unpack/inflated.ts'
import { sparedBytes } from '../unpack/unpack.ts'

const write = promisify(writeCallback)

/** As for layers: zeros compress a thousand times, images do not. */
const MAX_RATIO = 1000
const RATIO_COUNTS_FROM = 16 * 1024 * 1024

/** What may be written between two looks at the disk. */
const LOOK_EACH = 1024 * 1024

/** `freePercent` of the disk stay free, and no less than layers leave; by default as much as those. */
export type Spooling = Abortable & { readonly dir: string; readonly name: string; readonly freePercent?: number }

/** Everything that comes; the descriptor is the caller's. Throws no-space, system, cancelled. */
export async function spoolStream(stream: AsyncIterable<Uint8Array>, spooling: Spooling): Promise<number> {
  using spool = open(spooling)
  for await (const chunk of stream) {
    spooling.signal.throwIfAborted()
    await spool.add(chunk)
  }
  return spool.keep()
}

/** The same archive without its compression. `fd` stays the caller's. Throws bad-archive, no-space, system, cancelled. */
export async function spoolInflated(fd: number, spooling: Spooling): Promise<number> {
  const { name, signal } = spooling
  using spool = open(spooling)
  let [read, written] = [0, 0]
  try {
    for (const block of inflated(fd, (bytes) => {
      read = bytes
    })) {
      written += block.length
      if (written > RATIO_COUNTS_FROM && written > read * MAX_RATIO)
        fail({ kind: 'bad-archive', archive: name, reason: `it unpacks to more than ${MAX_RATIO} times its size` })
      await spool.add(block)
      await turn()
      signal.throwIfAborted()
    }
  } catch (error) {
    if (error instanceof CorruptStream) fail({ kind: 'bad-archive', archive: name, reason: error.message }, error)
    throw error
  }
  return spool.keep()
}

type Spool = Disposable & { add(bytes: Uint8Array): Promise<void>; keep(): number }

function open({ dir, freePercent = 0 }: Spooling): Spool {
  const path = `${dir}/windlass-load-${randomBytes(8).toString('hex')}`
  const fd = openSync(path, 'wx+', 0o600)
  using cleanup = new DisposableStack()
  cleanup.defer(() => closeSync(fd))
  unlinkSync(path)
  const kept = cleanup.move()
  let unseen = LOOK_EACH
  return {
    add: async (bytes) => {
      unseen += bytes.length
      if (unseen >= LOOK_EACH) {
        unseen = 0
        await checkRoom(dir, freePercent)
      }
      for (let at = 0; at < bytes.length; ) at += (await write(fd, bytes, at)).bytesWritten
    },
    keep: () => {
      kept.move()
      return fd
    },
    [Symbol.dispose]: () => kept.dispose(),
  }
}

/** A small archive may unpack to more than the disk of a node has, and all else on it would stop first. Throws no-space. */
async function checkRoom(dir: string, freePercent: number): Promise<void> {
  const { bsize, blocks, bavail } = await statfs(dir)
  const spared = Math.max(sparedBytes(blocks * bsize), (blocks * bsize * freePercent) / 100)
  if (bavail * bsize - LOOK_EACH < spared) fail({ kind: 'no-space', path: dir, code: 'ENOSPC' })
}
