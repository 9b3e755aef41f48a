import { lstatSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fail } from '../../failure/failure.ts'
import { IMPLIED } from './implied.ts'

const files = ['tar-split.gz', IMPLIED]

/**
 * Takes a staged layer out of the directory that extractors may write to, and looks at what was left there. Nothing is done to it with the
 * daemon's rights before: one that was taken over could put a symlink in the way of every step, at any moment. From here on what was seen
 * stays (Landlock asks where a directory lies now, whatever way it was opened). Says whether the
 * tar left directories out. Throws internal, and system where a name is missing.
 */
export function seize(staged: string, to: string): { readonly leftOut: boolean } {
  renameSync(staged, to)
  const names = lstatSync(to).isDirectory() ? readdirSync(to) : []
  const isLayer =
    names.includes('diff') &&
    names.includes('tar-split.gz') &&
    names.every((name) => {
      const stat = lstatSync(join(to, name))
      return name === 'diff' ? stat.isDirectory() : files.includes(name) && stat.isFile()
    })
  if (!isLayer)
    fail({ kind: 'internal', what: 'what was unpacked is no layer: something else than a tree and its tar-split was left' })
  return { leftOut: names.includes(IMPLIED) }
}
