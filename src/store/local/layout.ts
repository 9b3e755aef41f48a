/**
 * Where things lie below the root: a containers/storage overlay graph root (podman and CRI-O read it as an additional image store),
 * our database beside it, and two directories in the same mount for what is coming and what is going.
 *
 *     windlass.lock                     made first, so the mark of a root of ours; held by one process
 *     windlass.db                       images, names, layers, pins, receipts
 *     windlass.identity                 the key that logins are hashed with for receipts
 *     windlass.edition                  how many changes the database had counted: fewer there, and it has lost some
 *     windlass.passthrough              there while pulls are left to the runtime
 *     windlass.reserve                  room for a removal on a full disk
 *     overlay/<layer id>/{diff,link,lower,work,merged}   a base layer has `empty` and no `lower`
 *     overlay/<layer id>/replacement/{diff,tar-split.gz}  a tree that will take the place of a damaged one
 *     overlay/l/<short>                 -> ../<layer id>/diff
 *     overlay-layers/{layers.json,layers.lock,<layer id>.tar-split.gz}
 *     overlay-images/{images.json,images.lock}           what podman and CRI-O know of: the database says the same
 *     overlay-images/<image id>/<document>               its config, manifest and index
 *     staging/<uuid>/{diff,tar-split.gz,implied}         being unpacked
 *     trash/<uuid>                                       being removed
 *     partials/<hex of a blob's digest>                  what came of it, kept for a restart (pull/partials.ts); not the store's
 *     history.jsonl                     reports of the last pulls (pull/history.ts); not the store's
 */
import { hash } from 'node:crypto'
import { join } from 'node:path'
import type { LayerId } from '../../oci/digest.ts'
import { LOCK } from '../common/root.ts'

export type Layout = {
  readonly root: string
  readonly lock: string
  readonly database: string
  readonly edition: string
  readonly reserve: string
  readonly overlay: string
  readonly links: string
  readonly layers: string
  readonly images: string
  readonly staging: string
  readonly trash: string
}

export function layoutOf(root: string): Layout {
  const overlay = join(root, 'overlay')
  return {
    root,
    lock: join(root, LOCK),
    database: join(root, 'windlass.db'),
    edition: join(root, 'windlass.edition'),
    reserve: join(root, 'windlass.reserve'),
    overlay,
    links: join(overlay, 'l'),
    layers: join(root, 'overlay-layers'),
    images: join(root, 'overlay-images'),
    staging: join(root, 'staging'),
    trash: join(root, 'trash'),
  }
}

/** The directories of a root, parents first; all are 0700, because layers hold setuid programs that no user may reach (CVE-2021-41091). */
export const directoriesOf = (at: Layout): readonly string[] => [
  at.root,
  at.overlay,
  at.links,
  at.layers,
  at.images,
  at.staging,
  at.trash,
]

export const layerDir = (at: Layout, id: LayerId): string => join(at.overlay, id)
/** Put together by hand: `join` takes as long as the look that every layer gets at the start. */
export const diffDir = (at: Layout, id: LayerId): string => `${at.overlay}/${id}/diff`
/** Where a new tree for a damaged layer is made complete. */
export const replacementDir = (at: Layout, id: LayerId): string => join(at.overlay, id, 'replacement')
export const tarSplitFile = (at: Layout, id: LayerId): string => join(at.layers, tarSplitName(id))
export const tarSplitName = (id: LayerId): string => `${id}.tar-split.gz`

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const LINK_LENGTH = 26

/**
 * The layer's name in `overlay/l`: 26 characters of base32, so that 127 lowerdirs fit in one page of mount options. It is drawn from
 * the id rather than at random, so a commit that was interrupted can simply be done again.
 */
export function linkOf(id: LayerId): string {
  const bits = hash('sha256', `link ${id}`, 'buffer')
  let link = ''
  for (let bit = 0; bit < 5 * LINK_LENGTH; bit += 5) {
    // Five bits counted from the last byte's lowest; they may reach into the byte before.
    const byte = bits.length - 1 - (bit >> 3)
    link += BASE32.charAt(((bits.readUInt8(byte) | (bits.readUInt8(byte - 1) << 8)) >> (bit & 7)) & 31)
  }
  return link
}

/** `StoredLayer.short`: the same, relative to `overlay`. */
export const shortOf = (id: LayerId): string => `l/${linkOf(id)}`
