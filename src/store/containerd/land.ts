/** The names of an image in containerd. */
import type { Descriptor } from '../../oci/oci.ts'
import type { NewImage } from '../store.ts'
import type { ContainerdLease } from './leases.ts'
import { MANAGED, PINNED } from './names.ts'
import type { GivenName, Names } from './naming.ts'

/** An image with its names. Disposing it takes them back, unless they were kept. */
export type NamedImage = GivenName & {
  readonly target: Descriptor
  /** Whether its names still lead to it. */
  isThere(): Promise<boolean>
}

/** Names the image whose documents are written, and held by the lease as its snapshots are. Throws runtime. */
export async function landImage(
  names: Names,
  image: NewImage,
  target: Descriptor,
  lease: ContainerdLease,
  { isPinned }: { readonly isPinned: boolean },
): Promise<NamedImage> {
  const labels = { ...MANAGED, ...(isPinned ? PINNED : {}) }
  await using undo = new AsyncDisposableStack()
  const given: GivenName[] = []
  for (const name of image.tag === undefined ? [image.digest] : [image.digest, image.tag])
    given.push(undo.use(await names.give({ name, target, labels }, lease)))
  const named = undo.move()
  const name = image.tag ?? image.digest
  return {
    target,
    isThere: async () => (await names.find(name))?.target?.digest === target.digest,
    keep: () => {
      for (const each of given) each.keep()
    },
    [Symbol.asyncDispose]: () => named.disposeAsync(),
  }
}
