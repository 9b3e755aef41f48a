/** What holds a thing, in words. */
import type { HeldThing, Hold } from '../gc/why.ts'
import { printable, shortDigest } from './text.ts'

const WORDS: Readonly<Record<Hold['kind'], string>> = {
  name: 'named',
  pin: 'pinned by',
  image: 'part of',
  pull: 'in flight:',
  read: 'in use:',
  mount: 'in use:',
  store: 'in use:',
  unknown: 'perhaps in use, it cannot be told:',
}

export const holdText = ({ kind, detail }: Hold): string => `${WORDS[kind]} ${printable(detail)}`

/** One line; `windlass why` takes the digits. */
export const layerLine = ({ digest, holds }: HeldThing): string =>
  `${printable(shortDigest(digest))} ${holds.map(holdText).join('; ')}\n`
