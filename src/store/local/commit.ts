/**
 * Staging → its place in the graph. The tree is moved first, and completed where no extractor can reach it; a layer that
 * no record names is removed at the next start, so a commit that was cut short needs no undoing. Nothing is synced here: `publish` does
 * that once for the image.
 */

import { randomUUID } from 'node:crypto'
import { lstatSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LayerId } from '../../oci/digest.ts'
import { AT, cstr } from '../../sys/libc.ts'
import { measureTree, type TreeSize } from '../../sys/tree.ts'
import { attributeImplied, IMPLIED } from '../common/implied.ts'
import { seize } from '../common/seize.ts'
import { diffDir, type Layout, layerDir, linkOf, shortOf, tarSplitFile } from './layout.ts'
import { OwnerCount } from './owners.ts'
import type { Owners } from './records.ts'

/** One layer to move in. `staged` is the name of its directory below staging; `lowers` are the layers under it, nearest first. */
export type CommitOrder = {
  readonly staged: string
  readonly id: LayerId
  readonly lowers: readonly LayerId[]
}

/** What a commit finds out about the tree it moves. */
export type Committed = TreeSize & { readonly owners: Owners }

/** Moves the layer in and says what it takes up; one that cannot be completed is in the trash. Throws no-space, system, internal. */
export function commitLayer(at: Layout, order: CommitOrder): Committed {
  const dir = layerDir(at, order.id)
  discard(at, dir)
  try {
    seize(join(at.staging, order.staged), dir)
    return complete(at, dir, order)
  } catch (error) {
    discard(at, dir)
    throw error
  }
}

function complete(at: Layout, dir: string, { id, lowers }: CommitOrder): Committed {
  const committed = completeTree(at, dir, lowers)
  writeGraphFiles(dir, id, lowers)
  renameSync(join(dir, 'tar-split.gz'), tarSplitFile(at, id))
  relink(at, id)
  return committed
}

/** Gives the tree in `dir`, which no extractor can reach any more, what it has from the layers below, and looks it over. */
export function completeTree(at: Layout, dir: string, lowers: readonly LayerId[]): Committed {
  attributeImplied(
    dir,
    lowers.map((lower) => diffDir(at, lower)),
  )
  rmSync(join(dir, IMPLIED), { force: true })
  const owned = new OwnerCount()
  const size = measureTree(AT.FDCWD, cstr(join(dir, 'diff')), (stat) => owned.add(stat))
  return { ...size, owners: owned.owners() }
}

/** What containers/storage expects beside `diff` (its overlay driver's layout). */
export function writeGraphFiles(dir: string, id: LayerId, lowers: readonly LayerId[]): void {
  writeFileSync(join(dir, 'link'), linkOf(id))
  const empty = lowers.length === 0 ? ['empty'] : []
  for (const name of ['work', 'merged', ...empty]) mkdirSync(join(dir, name), { recursive: true, mode: 0o700 })
  if (lowers.length > 0) writeFileSync(join(dir, 'lower'), lowers.map(shortOf).join(':'))
}

/** Makes the short name lead to the layer, whatever was there. */
export function relink(at: Layout, id: LayerId): void {
  const link = join(at.links, linkOf(id))
  rmSync(link, { force: true })
  symlinkSync(`../${id}/diff`, link)
}

/** Takes a layer out of the graph; the janitor does the rest. */
export function withdrawLayer(at: Layout, id: LayerId): void {
  rmSync(join(at.links, linkOf(id)), { force: true })
  discard(at, layerDir(at, id))
  rmSync(tarSplitFile(at, id), { force: true })
}

/** Moves a directory into the trash, if it is there. */
export function discard(at: Layout, path: string): void {
  if (exists(path)) renameSync(path, join(at.trash, randomUUID()))
}

/** Whether there is anything at `path`, a dangling symlink too; unlike existsSync, a disk that cannot say is an error. */
export const exists = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined
