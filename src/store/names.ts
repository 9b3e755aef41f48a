/** What an image is called where people read it: all its tags, in order; without one the digest it came by last, else its id. */
import type { StoredImage } from './store.ts'

export const namesOf = ({ tags, digests, id }: Pick<StoredImage, 'tags' | 'digests' | 'id'>): readonly string[] =>
  tags.length > 0 ? tags.toSorted() : [digests.at(-1) ?? id]

export const nameOf = (image: Parameters<typeof namesOf>[0]): string => namesOf(image).join(', ')
