import { lstatSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fail } from '../../failure/failure.ts'

/**
 * Takes a staged layer out of the directory that extractors may write to, and looks at what was left there. Nothing is done to it with the
 * daemon's rights before: one that was taken over could put a symlink in the way of every step, at any moment. From here on what was seen
 * stays (Landlock asks where a directory lies now, whatever way it was opened). Throws internal, and system where a name is missing.
 */
export function seize(staged: string, to: string): void {
  renameSync(staged, to)
  const isLayer =
    lstatSync(to).isDirectory() &&
    readdirSync(to).toSorted().join() === 'diff,tar-split.gz' &&
    lstatSync(join(to, 'diff')).isDirectory() &&
    lstatSync(join(to, 'tar-split.gz')).isFile()
  if (!isLayer)
    fail({ kind: 'internal', what: 'what was unpacked is no layer: something else than a tree and its tar-split was left' })
}
