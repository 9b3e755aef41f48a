/** How a tree can differ from its layer, and how a path in it is shown. */
import { isUtf8 } from 'node:buffer'

export const DIFFERENCE_KINDS = [
  // Content.
  'missing',
  'added',
  'type',
  'size',
  'content',
  'unreadable',
  // What else the tar says of a path.
  'mode',
  'owner',
  'mtime',
  'target',
  'device',
  'xattr',
  'hardlink',
  'opaque',
  // What the tree is compared with: the layer itself cannot be told apart from it any more.
  'tar-split',
] as const

/** `path` is relative to the layer's root, which is `.`; what is not UTF-8 is written `\xNN`. `detail` is for a person. */
export type Difference = {
  readonly path: string
  readonly kind: (typeof DIFFERENCE_KINDS)[number]
  readonly detail: string
}

/** A path longer than this loses its middle. */
const MAX_SHOWN = 1000
/** How many differences of one layer are told; the others are counted. */
export const MAX_DIFFERENCES = 200

/** Text for a path held as bytes in latin1. */
export function shownPath(path: string): string {
  if (path === '') return '.'
  const bytes = Buffer.from(path, 'latin1')
  const text = isUtf8(bytes) ? bytes.toString() : path.replace(/[\x80-\xff\\]/g, escaped)
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN / 2)}…${text.slice(-MAX_SHOWN / 2)}`
}

const escaped = (character: string): string => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`

/** Keeps the first differences, and counts all. */
export class Differences {
  readonly list: Difference[] = []
  total = 0

  /** `path` is bytes in latin1. */
  add(path: string, kind: Difference['kind'], detail: string): void {
    this.total++
    if (this.list.length < MAX_DIFFERENCES) this.list.push({ path: shownPath(path), kind, detail: detail.slice(0, MAX_SHOWN) })
  }
}
