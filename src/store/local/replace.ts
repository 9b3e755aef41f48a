/**
 * A new tree in the place of a damaged one. It is made complete beside the old one and on disk before the two change places, in one step
 * of the file system; only then does the record say that the layer is sound. Cut short anywhere, the layer is still known to be damaged,
 * and the next pull brings it again. Its children, its names and its record stay: the tree is the same one, as it should have been.
 */
import { mkdirSync, readlinkSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fail, failureOf } from '../../failure/failure.ts'
import type { LayerId } from '../../oci/digest.ts'
import { AT, check, cstr, renameat2 } from '../../sys/libc.ts'
import { seize } from '../common/seize.ts'
import { type CommitOrder, type Committed, completeTree, discard, exists, relink, writeGraphFiles } from './commit.ts'
import { diffDir, type Layout, layerDir, linkOf, replacementDir, tarSplitFile } from './layout.ts'
import { mountedLayers } from './mounted.ts'

const RENAME_EXCHANGE = 2

/** Throws layer-in-use, no-space, system, internal: then the old tree is where it was. The old one ends in the trash. */
export function replaceLayer(at: Layout, order: CommitOrder, sync: () => void): Committed {
  const { id, lowers, staged } = order
  checkUnmounted(id)
  const dir = replacementDir(at, id)
  discard(at, dir)
  try {
    mkdirSync(layerDir(at, id), { recursive: true, mode: 0o700 })
    seize(join(at.staging, staged), dir)
    const committed = completeTree(at, dir, lowers)
    sync()
    exchange(join(dir, 'diff'), diffDir(at, id))
    try {
      // Whoever mounted it meanwhile looks at the old tree.
      checkUnmounted(id)
    } catch (error) {
      exchange(join(dir, 'diff'), diffDir(at, id))
      throw error
    }
    renameSync(join(dir, 'tar-split.gz'), tarSplitFile(at, id))
    writeGraphFiles(layerDir(at, id), id, lowers)
    if (!isLinked(at, id)) relink(at, id)
    sync()
    return committed
  } finally {
    discard(at, dir)
  }
}

/** Throws layer-in-use. Mounts in other mount namespaces are not seen. */
export function checkUnmounted(id: LayerId): void {
  const mounts = mountedLayers([id]).get(id) ?? []
  if (mounts.length > 0) fail({ kind: 'layer-in-use', layer: id, mounts })
}

/** The tree may have been removed as a whole: then there is nothing to change places with. */
function exchange(fresh: string, old: string): void {
  if (!exists(old)) renameSync(fresh, old)
  else check(renameat2(AT.FDCWD, cstr(fresh), AT.FDCWD, cstr(old), RENAME_EXCHANGE), 'renameat2', old)
}

function isLinked(at: Layout, id: LayerId): boolean {
  try {
    return readlinkSync(join(at.links, linkOf(id))) === `../${id}/diff`
  } catch (error) {
    const failure = failureOf(error)
    // Not there, or no link.
    if (failure.kind === 'system' && (failure.code === 'ENOENT' || failure.code === 'EINVAL')) return false
    throw error
  }
}
