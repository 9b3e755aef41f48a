/**
 * Takes into the database what it has lost and the JSON records name: all of it where it was damaged and set aside, the last changes
 * where its journal was removed, single rows that could not be read.
 */
import { type Digest, type LayerId, layerIds } from '../../oci/digest.ts'
import type { StoreLog } from '../common/log.ts'
import { type Ledger, repositoryOf } from './ledger.ts'
import type { Listed, ListedImage } from './listed.ts'
import type { LayerRecord } from './records.ts'

/** Of what is missing, takes in what is complete on disk. True if there was any. Throws no-space, system. */
export function takeBack(ledger: Ledger, missing: Listed, complete: ReadonlySet<LayerId>, log: StoreLog): boolean {
  const layers = missing.layers.filter(({ id }) => complete.has(id))
  const images = missing.images.filter(({ image }) => layerIds(image.config.diffIds).every((id) => complete.has(id)))
  const broken = missing.images.filter((each) => !images.includes(each)).map(({ image }) => image.id)
  if (layers.length + images.length + broken.length + missing.unreadable.length === 0) return false
  const nameless = ledger.transaction(() => record(ledger, layers, images))
  log.error(
    { images: images.length - nameless.length, layers: layers.length, lost: [...missing.unreadable, ...broken, ...nameless] },
    'the database had lost images or layers; they were rebuilt from layers.json and images.json. Pins, receipts, times of use and what was known ' +
      'of damage are lost for these: set pins again, run windlass verify, and pull what is lost again',
  )
  return layers.length + images.length > 0
}

/** Returns the images that no name could be found for. */
function record(ledger: Ledger, layers: readonly LayerRecord[], images: readonly ListedImage[]): readonly Digest[] {
  const taken = new Set([...ledger.uniqueNames().values()].flat())
  const repositories = repositoriesByDigest(images)
  const nameless: Digest[] = []
  ledger.record(layers)
  for (const { image, names, led } of images) {
    const free = names.filter((name) => !taken.has(name)).toReversed()
    const shared = repositories.get(led)
    const published = free.length > 0 ? free : shared === undefined ? [] : [`${shared}@${led}`]
    if (published.length === 0) nameless.push(image.id)
    for (const name of published) {
      const named = name.includes('@') ? { digest: name } : { tag: name, digest: `${repositoryOf(name)}@${led}` }
      ledger.publish({ ...image, ...named }, [], image.pulledAt)
    }
  }
  return nameless
}

/** An image whose only name became another's has none listed: both came from one index, in one repository. */
function repositoriesByDigest(images: readonly ListedImage[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const { names, led } of images) for (const name of names) found.set(led, repositoryOf(name))
  return found
}
