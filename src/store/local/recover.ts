/**
 * Makes disk and database agree at the start. The database decides: a layer counts only if a row names it, because rows are written
 * only after the files they name are known to be on disk. A row whose files are gone all the same goes too, and every image on it.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isLayerId, type LayerId, layerIds } from '../../oci/digest.ts'
import { discard, exists, relink } from './commit.ts'
import { diffDir, directoriesOf, type Layout, linkOf, tarSplitName } from './layout.ts'
import type { Ledger, Loaded } from './ledger.ts'
import type { StoreLog } from './log.ts'
import type { LayerRecord } from './records.ts'

/** What there is after recovery, and whether anything was thrown away. */
export type Recovered = Kept & { readonly trash: boolean }
type Kept = Pick<Loaded, 'layers' | 'images'>

export function recover(at: Layout, ledger: Ledger, log: StoreLog): Recovered {
  for (const directory of directoriesOf(at)) mkdirSync(directory, { recursive: true, mode: 0o700 })
  for (const name of readdirSync(at.staging)) discard(at, join(at.staging, name))
  const kept = dropIncomplete(at, ledger, log)
  dropUnnamed(at, new Set(kept.layers.map(({ id }) => id)), log)
  return { ...kept, trash: readdirSync(at.trash).length > 0 }
}

function dropIncomplete(at: Layout, ledger: Ledger, log: StoreLog): Kept {
  const loaded = ledger.load()
  const complete = completeLayers(at, loaded.layers)
  const lostLayers = loaded.layers.filter(({ id }) => !complete.has(id)).map(({ id }) => id)
  const stands = ({ image }: Loaded['images'][number]): boolean => layerIds(image.config.diffIds).every((id) => complete.has(id))
  const lostImages = loaded.images.filter((image) => !stands(image)).map(({ image }) => image.id)
  const images = [...lostImages, ...loaded.unreadable.images]
  const layers = [...lostLayers, ...loaded.unreadable.layers]
  if (images.length + layers.length > 0)
    log.error({ images, layers }, 'records without their files were dropped: pull these images again')
  ledger.forget(images, layers)
  return { layers: loaded.layers.filter(({ id }) => complete.has(id)), images: loaded.images.filter(stands) }
}

/** The layers whose files are there, and those of all layers below them. */
function completeLayers(at: Layout, layers: readonly LayerRecord[]): ReadonlySet<LayerId> {
  const tarSplits = new Set(readdirSync(at.layers))
  const complete = new Set<LayerId>()
  // Rows come in the order they were written, parents first.
  for (const { id, parent } of layers) {
    const below = parent === undefined || complete.has(parent)
    if (below && tarSplits.has(tarSplitName(id)) && exists(diffDir(at, id))) complete.add(id)
  }
  return complete
}

/** Removes what was committed and never published, and mends the short names. */
function dropUnnamed(at: Layout, known: ReadonlySet<LayerId>, log: StoreLog): void {
  const directories = readdirSync(at.overlay).filter(isLayerId)
  const unnamed = directories.filter((id) => !known.has(id))
  if (unnamed.length > 0) log.info({ layers: unnamed.length }, 'removing layers that no published image reached')
  for (const id of unnamed) discard(at, join(at.overlay, id))

  const tarSplits = new Set([...known].map(tarSplitName))
  for (const file of readdirSync(at.layers)) {
    if (file.endsWith('.tar-split.gz') && !tarSplits.has(file)) rmSync(join(at.layers, file))
  }

  const present = new Set(readdirSync(at.links))
  const wanted = new Map([...known].map((id) => [linkOf(id), id]))
  for (const link of present) if (!wanted.has(link)) rmSync(join(at.links, link), { recursive: true })
  for (const [link, id] of wanted) if (!present.has(link)) relink(at, id)
}
