import { lstatSync, mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { fail } from '../../failure/failure.ts'
import { IMPLIED } from './implied.ts'

const FILES = ['tar-split.gz', IMPLIED]

/**
 * Takes a staged layer out of the directory that extractors may write to, into `to`, which must not be there yet, and looks at what was left.
 * Nothing is done to it with the daemon's rights before: one that was taken over could put a symlink in the way of every step, at any moment.
 *
 * `to` is made here, and only what a layer has is moved in: whoever holds the staged directory itself, or stands in it, holds nothing then
 * that any name leads to. (On Linux 6.18 neither Landlock nor the mount keeps those from writing who had it open before.) Of the tree below `diff` that is not so: what is done in there goes from descriptor to descriptor, and follows no link.
 *
 * Says whether the tar left directories out. Throws internal, and system where a name is missing.
 */
export function seize(staged: string, to: string): { readonly leftOut: boolean } {
  mkdirSync(to, { mode: 0o700 })
  const left = join(to, 'left')
  renameSync(staged, left)
  const names = lstatSync(left).isDirectory() ? readdirSync(left) : []
  if (!['diff', 'tar-split.gz'].every((name) => names.includes(name))) noLayer()
  for (const name of names) {
    if (name !== 'diff' && !FILES.includes(name)) noLayer()
    renameSync(join(left, name), join(to, name))
    const stat = lstatSync(join(to, name))
    // A second name would still be in the extractors' reach.
    if (name === 'diff' ? !stat.isDirectory() : !stat.isFile() || stat.nlink !== 1) noLayer()
  }
  rmdirSync(left)
  return { leftOut: names.includes(IMPLIED) }
}

const noLayer = (): never =>
  fail({ kind: 'internal', what: 'what was unpacked is no layer: something else than a tree and its tar-split was left' })
