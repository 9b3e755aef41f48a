/** That a person has left pulls to the runtime: a file in the root, there while it holds, because it must outlast the daemon. */
import { existsSync, lstatSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { asWindlassError, fail } from '../failure/failure.ts'
import type { PassthroughState } from '../runtime/passthrough.ts'
import { makeDirectory, SWITCH } from '../store/common/root.ts'
import { writeBeside } from '../store/local/durable.ts'
import { readRegular } from '../sys/regular.ts'
import { syncPath } from '../sys/sync.ts'

const schema = z.strictObject({ reason: z.string().max(4096), since: z.iso.datetime() })
/** A reason's 4096 characters, escaped as JSON does at worst. */
const MAX_BYTES = 64 * 1024

/** What was switched last. Whatever else is there in place of the file was put there by somebody who meant it. */
export function readSwitch(root: string): PassthroughState {
  const file = join(root, SWITCH)
  const onBy = (what: string): PassthroughState => ({
    on: true,
    reason: `it is switched on by ${file}, which cannot be read: ${what}`,
    since: new Date(),
  })
  const read = readRegular(file, MAX_BYTES)
  if (read.kind === 'absent') return { on: false }
  if (read.kind !== 'read') return onBy(read.reason)
  try {
    const { reason, since } = schema.parse(JSON.parse(read.bytes.toString()))
    return { on: true, reason, since: new Date(since) }
  } catch {
    return onBy('windlass passthrough has not written it so')
  }
}

/** On disk when this returns. Throws bad-config for a directory in its place, no-space, system. */
export function keepSwitch(root: string, state: PassthroughState): void {
  const file = join(root, SWITCH)
  try {
    if (isDirectory(file)) {
      const reason = 'it is a directory, where windlass passthrough keeps a file; remove it, then switch again'
      fail({ kind: 'bad-config', file, reason })
    }
    if (state.on) {
      if (!existsSync(root)) makeDirectory(root)
      const { reason, since } = state
      using pending = writeBeside(file, `${JSON.stringify({ reason: reason.slice(0, 4096), since })}\n`)
      pending.place()
    } else if (existsSync(root)) {
      // Whatever was in its place goes with it.
      rmSync(file, { force: true })
      syncPath(root)
    }
  } catch (error) {
    throw asWindlassError(error)
  }
}

const isDirectory = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true
