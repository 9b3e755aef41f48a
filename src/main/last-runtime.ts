/** Which runtime pulls last landed in: a file in the root, for a daemon whose configuration no longer says it. */
import { rmSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { z } from 'zod'
import { asWindlassError, fail } from '../failure/failure.ts'
import type { RuntimeAddress } from '../runtime/runtime.ts'
import { LAST_RUNTIME } from '../store/common/root.ts'
import { writeBeside } from '../store/local/durable.ts'
import { readRegular } from '../sys/regular.ts'

const schema = z.strictObject({ kind: z.enum(['containerd', 'crio']), socket: z.string().max(4096).refine(isAbsolute) })
const MAX_BYTES = 64 * 1024

/** Undefined where none is on record, or what is there makes no sense: then the usual sockets are looked at. */
export function lastRuntime(root: string): RuntimeAddress | undefined {
  const read = readRegular(join(root, LAST_RUNTIME), MAX_BYTES)
  if (read.kind !== 'read') return undefined
  try {
    return schema.parse(JSON.parse(read.bytes.toString()))
  } catch (error) {
    if (error instanceof z.ZodError || error instanceof SyntaxError) return undefined
    throw error
  }
}

/** A store of its own in the root of a daemon beside containerd would be one that nobody sees. Throws invalid-argument. */
export function checkOwn(root: string): void {
  const runtime = lastRuntime(root)
  if (runtime?.kind !== 'containerd') return
  const reason = `${root} is the root of a daemon whose images are in containerd at ${runtime.socket}; ask that daemon (--socket), or name another directory`
  fail({ kind: 'invalid-argument', what: '--root', reason })
}

/** On disk when this returns, in a root that is there. Throws no-space, system. */
export function keepRuntime(root: string, { kind, socket }: RuntimeAddress): void {
  const last = lastRuntime(root)
  if (last?.kind === kind && last.socket === socket) return
  try {
    using pending = writeBeside(join(root, LAST_RUNTIME), `${JSON.stringify({ kind, socket })}\n`)
    pending.place()
  } catch (error) {
    throw asWindlassError(error)
  }
}

/**
 * For a root that is a store of its own now. What else is kept for a runtime stays: this may be a start before that has made its socket, and
 * what is of no use any more goes with the first sweep beside it. Throws system.
 */
export function forgetRuntime(root: string): void {
  try {
    rmSync(join(root, LAST_RUNTIME), { force: true })
  } catch (error) {
    throw asWindlassError(error)
  }
}
