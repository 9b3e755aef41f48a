/** Which failed calls are the layer's fault, and which this node's. */
import { fail } from '../../failure/failure.ts'
import { EEXIST, EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, errnoName, failureFor } from '../../sys/libc.ts'
import { BadTar } from '../tar/entry.ts'

const layersFault: readonly number[] = [EEXIST, EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM]

/** `result`, or a throw: BadTar for what the layer asked for and cannot have, the system's failure (no-space, system) otherwise. */
export function ok(result: number, operation: string, entry: { readonly name: string }): number {
  if (result >= 0) return result
  if (layersFault.includes(-result)) throw new BadTar(`${operation}: ${errnoName(result)}`, entry.name)
  return fail(failureFor(result, operation, printable(entry.name)))
}

/** A member's name for a message: what is not printable ASCII is escaped, what is long is cut. */
export function printable(name: string): string {
  const text = Buffer.from(name, 'latin1').toString()
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)
}
