/** Overlay mounts over snapshots, as this process's mount namespace shows them (proc_pid_mountinfo(5)). */
import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'

type Overlay = { readonly target: string; readonly lowers: readonly string[] }

/** Where an overlay is mounted that has one of these trees in it. A mount may name them relative to `base`, which nothing shows. */
export function overlaysOver(trees: readonly string[], base: string): readonly string[] {
  const overlays = readOverlays()
  const over = overlays.filter(({ target, lowers }) => {
    const paths = lowers.map((lower) => resolve(base, lower))
    if (!paths.some((path) => trees.includes(path))) return false
    const [top = ''] = paths
    const isPlain = lowers[0]?.startsWith('/') === true || overlays.filter((other) => other.target === target).length > 1
    return isPlain || isRootOf(top, target)
  })
  return over.map(({ target }) => target)
}

function readOverlays(): readonly Overlay[] {
  return readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .filter((line) => line.includes(' - overlay '))
    .map((line) => {
      const [, , , , target = ''] = line.split(' ')
      // One option of many, or one for each (fsconfig's lowerdir+).
      const lowers = [...line.matchAll(/,lowerdir\+?=([^, ]*)/g)].flatMap(([, value = '']) => value.split(':'))
      return { target: unescaped(target), lowers: lowers.map(unescaped) }
    })
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

/** White space and backslashes are written in octal. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
