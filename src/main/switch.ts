/** That a person has left pulls to the runtime: a file in the root, there while it holds, because it must outlast the daemon. */
import { closeSync, constants, existsSync, fsyncSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { asWindlassError } from '../failure/failure.ts'
import type { PassthroughState } from '../runtime/passthrough.ts'
import { makeDirectory, SWITCH } from '../store/common/root.ts'
import { writeBeside } from '../store/local/durable.ts'

const schema = z.strictObject({ reason: z.string().max(4096), since: z.iso.datetime() })

/** What was switched last. A file that cannot be read was put there by somebody who meant it. */
export function readSwitch(root: string): PassthroughState {
  const file = join(root, SWITCH)
  try {
    const { reason, since } = schema.parse(JSON.parse(readFileSync(file, 'utf8')))
    return { on: true, reason, since: new Date(since) }
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return { on: false }
    return { on: true, reason: `it is switched on by ${file}, which cannot be read`, since: new Date() }
  }
}

/** On disk when this returns. Throws no-space, system. */
export function keepSwitch(root: string, state: PassthroughState): void {
  const file = join(root, SWITCH)
  try {
    if (state.on) {
      if (!existsSync(root)) makeDirectory(root)
      const { reason, since } = state
      using pending = writeBeside(file, `${JSON.stringify({ reason: reason.slice(0, 4096), since })}\n`)
      pending.place()
    } else {
      rmSync(file, { force: true })
      syncDirectory(root)
    }
  } catch (error) {
    throw asWindlassError(error)
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
