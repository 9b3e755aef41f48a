/**
 * Makes disk and database agree at the start. Records decide, the database's rows and where it lacks them those of layers.json and
 * images.json: a layer counts only if one names it, because they are written only after the files they name are known to be on disk. A
 * row whose files are gone all the same goes too, and every image on it. Without its records there is no store; what else lies there, and
 * however it resists, keeps none from opening (leftovers.ts).
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Failure, failureOf } from '../../failure/failure.ts'
import { isLayerId, type LayerId, layerIds } from '../../oci/digest.ts'
import type { StoreLog } from '../common/log.ts'
import { isReadable } from '../common/readable.ts'
import { notedEdition } from './books.ts'
import type { Catalogue } from './catalogue.ts'
import { exists, relink } from './commit.ts'
import { otherDocuments, writeDocuments } from './documents.ts'
import type { Guard } from './guard.ts'
import { diffDir, directoriesOf, type Layout, layerDir, linkOf, replacementDir, shortOf, tarSplitName } from './layout.ts'
import type { Ledger, Loaded } from './ledger.ts'
import { attempt, clear, namesIn } from './leftovers.ts'
import { checkVersion, type Listed, readListed } from './listed.ts'
import { takeBack } from './rebuild.ts'
import type { ImageRecord, LayerRecord } from './records.ts'

/** What there is after recovery. */
export type Recovered = Pick<Loaded, 'layers' | 'images'>

export type Recovery = {
  readonly at: Layout
  readonly ledger: Ledger
  readonly catalogue: Catalogue
  readonly guard: Guard
  readonly sync: () => void
  readonly log: StoreLog
}

/** What is here. Until `settle` nobody else is told, and nothing in the graph has been touched. */
export function recover(recovery: Recovery): Recovered {
  const { at, log } = recovery
  for (const directory of directoriesOf(at)) mkdirSync(directory, { recursive: true, mode: 0o700 })
  const kept = agreed(recovery)
  for (const name of namesIn(log, at.staging)) clear(at, log, join(at.staging, name))
  // A replacement that was cut short: its layer is known to be damaged still.
  for (const { id, damage } of kept.layers) if (damage !== undefined) clear(at, log, replacementDir(at, id))
  return kept
}

/**
 * Brings the rest into line: what podman and CRI-O read, and what lies in the graph. With thousands of images this takes as long again,
 * and no question waits for it; every change does. True if there is anything in the trash.
 */
export function settle(recovery: Recovery, kept: Recovered): boolean {
  show(recovery, kept)
  dropUnnamed(recovery, new Set(kept.layers.map(({ id }) => id)))
  return namesIn(recovery.log, recovery.at.trash).length > 0
}

/** What the database names and is there, with what it has lost and the other records name. Nothing is removed before they are read. */
function agreed({ at, ledger, log }: Recovery): Recovered {
  checkVersion(at)
  const loaded = ledger.load()
  const { unreadable } = loaded
  const isEmpty = loaded.layers.length + loaded.images.length === 0
  const noted = notedEdition(at.edition)
  const isShort = noted === undefined ? isEmpty : noted > ledger.edition()
  const kept = dropIncomplete(at, ledger, loaded, log)
  if (!isShort && unreadable.images.length + unreadable.layers.length === 0) return kept
  const listed = readListed(at)
  const isLost = (id: string): boolean => isShort || unreadable.images.includes(id) || unreadable.layers.includes(id)
  const known = new Set<string>([...kept.layers.map(({ id }) => id), ...loaded.images.map(({ image }) => image.id)])
  const missing: Listed = {
    layers: listed.layers.filter(({ id }) => isLost(id) && !known.has(id)),
    images: listed.images.filter(({ image }) => !known.has(image.id)),
    unreadable: listed.unreadable,
  }
  const complete = completeLayers(at, [...kept.layers, ...listed.layers])
  const isTaken = takeBack(ledger, missing, complete, log)
  // From here on it knows all that there is to know.
  ledger.transaction(() => ledger.raiseEdition(noted ?? 0))
  return isTaken ? ledger.load() : kept
}

function dropIncomplete(at: Layout, ledger: Ledger, loaded: Loaded, log: StoreLog): Recovered {
  const complete = completeLayers(at, loaded.layers)
  const lostLayers = loaded.layers.filter(({ id }) => !complete.has(id)).map(({ id }) => id)
  const stands = ({ image }: Loaded['images'][number]): boolean => layerIds(image.config.diffIds).every((id) => complete.has(id))
  const lostImages = loaded.images.filter((image) => !stands(image)).map(({ image }) => image.id)
  const images = [...lostImages, ...loaded.unreadable.images]
  const layers = [...lostLayers, ...loaded.unreadable.layers]
  if (images.length + layers.length > 0) {
    log.error({ images, layers }, 'records without their files, or unreadable ones, were dropped: pull these images again')
    ledger.transaction(() => ledger.forget(images, layers))
  }
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

/** What podman and CRI-O read says the same as the database from here on. */
function show({ at, ledger, catalogue, sync, log }: Recovery, { layers, images: named }: Recovered): void {
  const readable = named.map(({ image }) => image).filter((image) => isReadable(image, log))
  const images = withDocuments(at, readable, sync, log)
  catalogue.restore({ layers, images, names: ledger.uniqueNames() })
  const shown = readable.map(({ id }) => id)
  for (const directory of attempt(log, at.images, () => otherDocuments(at, shown)) ?? []) clear(at, log, directory)
}

/** The images whose documents are there, or could be written. On a full disk, say, which removals are to mend, none can. */
function withDocuments(at: Layout, images: readonly ImageRecord[], sync: () => void, log: StoreLog): readonly ImageRecord[] {
  const complete: ImageRecord[] = []
  const failed = new Map<string, Failure>()
  let wrote = false
  for (const image of images) {
    try {
      wrote = writeDocuments(at, image) || wrote
      complete.push(image)
    } catch (error) {
      failed.set(image.id, failureOf(error))
    }
  }
  if (failed.size > 0)
    log.error(
      { images: [...failed.keys()], failure: [...failed.values()][0] },
      'the documents of these images could not be written: podman and CRI-O do not see them',
    )
  if (wrote) attempt(log, at.images, sync)
  return complete
}

/** Removes what was committed and never published, and mends the short names. */
function dropUnnamed({ at, guard, log }: Recovery, known: ReadonlySet<LayerId>): void {
  const unnamed = namesIn(log, at.overlay)
    .filter(isLayerId)
    .filter((id) => !known.has(id))
  // What is not known not to be needed stays.
  const needed = unnamed.length === 0 ? [] : attempt(log, at.overlay, () => adoptedAmong(at, unnamed, guard))
  const adopted = new Set(needed ?? unnamed)
  const free = unnamed.filter((id) => !adopted.has(id))
  if (free.length > 0) log.info({ layers: free.length }, 'removing layers that no published image reached')
  if (adopted.size > 0)
    log.warn({ layers: [...adopted] }, 'no record names these layers, but another store needs them: they stay')
  for (const id of free) clear(at, log, layerDir(at, id))
  mend(at, new Set([...known, ...adopted]), log)
}

/** Of layers without a record, those that other stores need. What lies below one is told by its `lower`, for want of anything else. */
function adoptedAmong(at: Layout, unnamed: readonly LayerId[], guard: Guard): ReadonlySet<LayerId> {
  const found = guard.look()
  if (found.kind === 'unknown') return new Set(unnamed)
  const byShort = new Map(unnamed.map((id) => [shortOf(id), id]))
  const tops = unnamed.filter((id) => found.layers.has(id))
  const below = tops.flatMap((id) => lowersOf(at, id).flatMap((short) => byShort.get(short) ?? []))
  return new Set([...tops, ...below])
}

function lowersOf(at: Layout, id: LayerId): readonly string[] {
  const file = join(layerDir(at, id), 'lower')
  return exists(file) ? readFileSync(file, 'utf8').split(':') : []
}

/** Removes the tar-split files and short names of layers that are not there, and makes the short names that are missing. */
function mend(at: Layout, layers: ReadonlySet<LayerId>, log: StoreLog): void {
  const tarSplits = new Set([...layers].map(tarSplitName))
  for (const file of namesIn(log, at.layers)) {
    if (file.endsWith('.tar-split.gz') && !tarSplits.has(file)) clear(at, log, join(at.layers, file))
  }
  const present = new Set(namesIn(log, at.links))
  const wanted = new Map([...layers].map((id) => [linkOf(id), id]))
  for (const link of present) if (!wanted.has(link)) clear(at, log, join(at.links, link))
  for (const [link, id] of wanted) if (!present.has(link)) attempt(log, join(at.links, link), () => relink(at, id))
}
