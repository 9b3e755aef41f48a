/** From what a reference names to the one manifest that is for the platform: through the index, where it names one. */
import { fail } from '../failure/failure.ts'
import type { Descriptor, Index, Manifest, Platform } from '../oci/oci.ts'
import { parseManifestOrIndex } from '../oci/parse.ts'
import { formatPlatform, offered, selectManifest } from '../platform/platform.ts'
import { formatReference } from '../reference/parse.ts'
import type { Reference } from '../reference/reference.ts'
import type { Document, Repository } from '../registry/registry.ts'
import type { Abortable } from '../task/task.ts'

/** An index may hold an index (image-spec image-index.md); how deep we look. */
const MAX_INDEX_DEPTH = 4

export type WantedImage = {
  readonly reference: Reference
  readonly platform: Platform
  /** Whoever asked named the platform; else it is the node's own. */
  readonly asked?: boolean
}

type Chosen = {
  readonly manifest: Manifest
  readonly document: Document
  readonly index: Uint8Array | undefined
  /** True where an index entry names the platform; otherwise only the config does. */
  readonly isPlatformKnown: boolean
}

/** Goes down from the root to one image's manifest. Throws no-platform, malformed, unsupported, and what `Repository.manifest` does. */
export async function chooseManifest(
  wanted: WantedImage & { readonly remote: Pick<Repository, 'manifest'> },
  root: Document,
  options: Abortable,
): Promise<Chosen> {
  let document = root
  let isPlatformKnown = false
  for (let depth = 0; depth <= MAX_INDEX_DEPTH; depth++) {
    const parsed = parseManifestOrIndex(document.bytes, document.descriptor, document.host)
    if (parsed.kind === 'manifest')
      return { manifest: parsed, document, index: depth === 0 ? undefined : root.bytes, isPlatformKnown }
    const chosen = select(parsed, wanted)
    isPlatformKnown = chosen.platform !== undefined
    document = await wanted.remote.manifest(chosen, options)
  }
  return fail({
    kind: 'malformed',
    what: `index ${root.descriptor.digest}`,
    from: root.host,
    reason: `indexes nest deeper than ${MAX_INDEX_DEPTH}`,
  })
}

const select = (index: Index, wanted: WantedImage): Descriptor =>
  selectManifest(index, wanted.platform) ?? noPlatform(wanted, offered(index))

export const noPlatform = ({ reference, platform, asked = false }: WantedImage, offered: readonly string[]): never =>
  fail({ kind: 'no-platform', reference: formatReference(reference), wanted: formatPlatform(platform), offered, asked })
