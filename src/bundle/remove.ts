/** Takes a bundle apart, also one that an earlier boot left unmounted. */
import { existsSync, realpathSync, rmdirSync, rmSync } from 'node:fs'
import { isOurMount, unmount } from '../sys/mount.ts'
import { parts, readMark } from './layout.ts'

/** True if the directory holds a bundle of ours, mounted or not. */
export const isBundle = (dir: string): boolean => readMark(dir) !== undefined

/**
 * Unmounts rootfs and removes what `writeBundle` made, with everything written to rootfs since. Files beside them stay, and the directory
 * with them. Throws system: EBUSY while something runs in it.
 */
export function removeBundle(dir: string): void {
  const mark = readMark(dir)
  if (mark === undefined) return
  const { rootfs, upper, work, config, marker } = parts(dir)
  if (existsSync(rootfs)) {
    if (isOurMount(realpathSync(rootfs))) unmount(rootfs)
    // Only an empty mount point is ours: never anything below what may still be mounted.
    rmdirSync(rootfs)
  }
  for (const directory of [upper, work]) rmSync(directory, { recursive: true, force: true })
  rmSync(config, { force: true })
  // The marker goes last, so that a removal that was cut short can be repeated.
  rmSync(marker, { force: true })
  if (mark.madeDir) removeIfEmpty(dir)
}

function removeIfEmpty(dir: string): void {
  try {
    rmdirSync(dir)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EBUSY'))) throw error
  }
}
