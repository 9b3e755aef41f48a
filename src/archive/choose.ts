/** Which images of an archive are meant, and what they are to be called. */
import { fail } from '../failure/failure.ts'
import { formatReference, parseReference } from '../reference/parse.ts'
import type { Reference } from '../reference/reference.ts'
import type { Repository } from '../registry/registry.ts'
import type { Abortable } from '../task/task.ts'
import type { Archive, ArchivedImage } from './archive.ts'
import { repositoryOf } from './repository.ts'

export type Choice = {
  /** As typed; none means the only one. */
  readonly images: readonly string[]
  readonly all: boolean
  /** In place of the name the archive has for it. */
  readonly name?: string
}

/** An image under one name. */
export type Chosen = { readonly image: ArchivedImage; readonly reference: Reference }

/** Throws bad-archive, invalid-argument, invalid-reference. */
export function chooseImages(archive: Archive, { images, all, name }: Choice): readonly Chosen[] {
  if (images.length > 0) {
    const chosen = images.map((text): Chosen => ({ image: imageNamed(archive, text), reference: parseReference(text) }))
    if (name === undefined) return chosen
    const [only, ...more] = chosen
    if (only === undefined || more.length > 0) fail({ kind: 'invalid-argument', what: '--name', reason: 'it is for one image' })
    return [{ image: only.image, reference: parseReference(name) }]
  }
  const [only, ...more] = archive.images
  if (only === undefined) return fail({ kind: 'bad-archive', archive: archive.name, reason: 'it holds no image' })
  if (more.length > 0 && !all) {
    const reason = `it holds ${archive.images.length} images, ${namesIn(archive)}; name those you mean, or give --all`
    fail({ kind: 'invalid-argument', what: `archive ${JSON.stringify(archive.name)}`, reason })
  }
  if (name !== undefined) {
    if (more.length > 0)
      fail({ kind: 'invalid-argument', what: '--name', reason: 'it is for one image, and not for --all of several' })
    return [{ image: only, reference: parseReference(name) }]
  }
  return archive.images.flatMap((image) => {
    if (image.names.length === 0) {
      const reason = `image ${image.label} in it has no name with a repository; give it one with --name`
      fail({ kind: 'invalid-argument', what: `archive ${JSON.stringify(archive.name)}`, reason })
    }
    return image.names.map((each) => ({ image, reference: parseReference(each) }))
  })
}

/** Throws invalid-argument where the archive has no image of this name, invalid-reference. */
export function imageNamed(archive: Archive, name: string): ArchivedImage {
  const wanted = formatReference(parseReference(name))
  const found = archive.images.find(({ names }) => names.includes(wanted))
  if (found !== undefined) return found
  const reason = `it holds no image ${wanted}; it has ${namesIn(archive)}`
  return fail({ kind: 'invalid-argument', what: `archive ${JSON.stringify(archive.name)}`, reason })
}

/**
 * An image of the archive for a pull to take from: the one of this name; of an archive with one image that one, where it has no name, or
 * is asked for by a digest, which tells it from any other. Throws what `imageNamed` and `ArchivedImage.open` do.
 */
export async function repositoryIn(archive: Archive, name: string, options: Abortable): Promise<Repository> {
  const reference = parseReference(name)
  const [only, ...more] = archive.images
  const isMeant = more.length === 0 && (only?.names.length === 0 || reference.digest !== undefined)
  const image = only !== undefined && isMeant ? only : imageNamed(archive, name)
  return repositoryOf(await image.open(options), reference, archive.name)
}

const SHOWN = 20

function namesIn({ images }: Archive): string {
  const names = images.flatMap(({ names, label }) => (names.length === 0 ? [`${label} without a name`] : names))
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : ''
  return names.length === 0 ? 'none' : `${names.slice(0, SHOWN).join(', ')}${more}`
}
