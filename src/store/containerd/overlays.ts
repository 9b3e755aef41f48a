/** Overlay mounts over snapshots. */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { overlays } from '../../sys/overlays.ts'

/** Where an overlay is mounted that has one of these trees in it. A mount may name them relative to `base`, which nothing shows. */
export function overlaysOver(trees: readonly string[], base: string): readonly string[] {
  const all = overlays()
  const over = all.filter(({ target, lowers }) => {
    const paths = lowers.map((lower) => resolve(base, lower))
    if (!paths.some((path) => trees.includes(path))) return false
    const [top = ''] = paths
    const isPlain = lowers[0]?.startsWith('/') === true || all.filter((other) => other.target === target).length > 1
    return isPlain || isRootOf(top, target)
  })
  return over.map(({ target }) => target)
}

/**
 * Other daemons' snapshots have the same short names. The root of an overlay of one file system has the inode number of its topmost
 * directory (kernel's overlayfs.rst, "Inode properties"). What cannot be looked at counts as ours.
 */
function isRootOf(top: string, target: string): boolean {
  try {
    return statSync(top).ino === statSync(target).ino
  } catch {
    return true
  }
}
