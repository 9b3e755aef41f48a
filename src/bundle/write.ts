/** Makes a bundle; `bundle.ts` says what is in it. */
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fail } from '../failure/failure.ts'
import { isOurMount, mountOverlay, unmount } from '../sys/mount.ts'
import type { Bundle, BundleRequest } from './bundle.ts'
import { markText, parts } from './layout.ts'
import { readInRoot } from './rootfs-file.ts'
import { runtimeConfig } from './runtime-config.ts'
import { resolveUser } from './user.ts'

/** statfs(2): overlay cannot be the upper layer of an overlay. */
const OVERLAYFS_MAGIC = 0x794c7630
/** What a process on the host's network needs to find names. */
const HOST_FILES = ['/etc/resolv.conf', '/etc/hosts']

/**
 * Mounts the image's layers and writes config.json beside them. After a throw the directory is as it was. Throws: invalid-argument
 * (nothing to run, an unknown user, a directory that is not empty or cannot hold an upper layer), malformed (a passwd or group that must
 * not be read), system.
 */
export function writeBundle({ dir: given, image, args, network }: BundleRequest): Bundle {
  const dir = resolve(given)
  const { rootfs, upper, work, config, marker } = parts(dir)
  using undo = new DisposableStack()
  const madeDir = claim(dir, undo)
  for (const directory of [rootfs, upper, work]) mkdirSync(directory, { mode: 0o755 })
  undo.defer(() => {
    for (const directory of [upper, work]) rmSync(directory, { recursive: true, force: true })
    rmdirSync(rootfs)
  })
  mountOverlay({ target: rootfs, base: image.overlayDir, lower: image.lower, writable: { upper, work } })
  undo.defer(() => unmount(rootfs))

  const user = resolveUser(image.config.run.user, {
    passwd: () => readInRoot(rootfs, 'etc/passwd'),
    group: () => readInRoot(rootfs, 'etc/group'),
  })
  const hostFiles = network === 'host' ? HOST_FILES.filter((file) => existsSync(file)) : []
  const runtime = runtimeConfig(image.config, { user, args, network, hostFiles })
  undo.defer(() => {
    for (const file of [config, marker]) rmSync(file, { force: true })
  })
  writeFileSync(marker, markText({ reference: image.reference, imageId: image.id, madeDir }))
  writeFileSync(config, `${JSON.stringify(runtime.document, null, 2)}\n`)
  undo.move()
  return { dir, rootfs, args: runtime.args, warnings: runtime.warnings }
}

/** Makes the directory, or makes sure that it is empty; true if it was made. */
function claim(dir: string, undo: DisposableStack): boolean {
  const made = !existsSync(dir)
  if (made) {
    mkdirSync(dir, { mode: 0o755 })
    undo.defer(() => rmdirSync(dir))
  } else if (readdirSync(dir).length > 0) {
    const reason = isOurMount(dir) ? 'an image is mounted there; windlass unmount it first' : 'it is not empty'
    fail({ kind: 'invalid-argument', what: `directory ${JSON.stringify(dir)}`, reason })
  }
  if (statfsSync(dir).type === OVERLAYFS_MAGIC) {
    const reason = 'it is on an overlay file system itself, which cannot take the writes of another; choose a directory elsewhere'
    fail({ kind: 'invalid-argument', what: `directory ${JSON.stringify(dir)}`, reason })
  }
  return made
}
