/** The names of an image in containerd. */
import { fail } from '../../failure/failure.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/oci.ts'
import type { Image__Output } from '../../rpc/generated/containerd/services/images/v1/Image.ts'
import type { NewImage } from '../store.ts'
import type { Daemon } from './daemon.ts'
import type { ContainerdLease } from './leases.ts'
import { MANAGED, PINNED } from './names.ts'

type Labels = Readonly<Record<string, string>>

/** Marks an image that is here already, whoever pulled it. */
export async function pinName(daemon: Daemon, name: string): Promise<void> {
  const record = await recordOf(daemon, name)
  if (record === undefined) return
  const paths = Object.keys(PINNED).map((label) => `labels.${label}`)
  await daemon.callUnless('NOT_FOUND', 'pin an image', ({ images }, options) =>
    images.update({ image: { ...record, labels: PINNED }, updateMask: { paths } }, options),
  )
}

/** Others name and remove images, too: once is bad luck. */
const ATTEMPTS = 3

/** An image with its names. Disposing it takes the names away again, or gives them back to what had them. */
export type NamedImage = AsyncDisposable & {
  readonly target: Descriptor
  /** Whether its names still lead to it. */
  isThere(): Promise<boolean>
}

/** Names the image whose documents are written, and held by the lease as its snapshots are. Throws runtime. */
export async function landImage(
  daemon: Daemon,
  image: NewImage,
  target: Descriptor,
  lease: ContainerdLease,
  { isPinned }: { readonly isPinned: boolean },
): Promise<NamedImage> {
  const labels = { ...MANAGED, ...(isPinned ? PINNED : {}) }
  await using undo = new AsyncDisposableStack()
  for (const name of image.tag === undefined ? [image.digest] : [image.digest, image.tag])
    undo.use(await nameImage(daemon, { name, target, labels }, lease))
  const named = undo.move()
  const name = image.tag ?? image.digest
  return {
    target,
    isThere: async () => (await recordOf(daemon, name))?.target?.digest === target.digest,
    [Symbol.asyncDispose]: () => named.disposeAsync(),
  }
}

type Naming = { readonly name: string; readonly target: Descriptor; readonly labels: Labels }

/** Creates the record, or moves it here from wherever it was; disposing what it returns undoes that. */
async function nameImage(daemon: Daemon, { name, target, labels }: Naming, lease: ContainerdLease): Promise<AsyncDisposable> {
  const { mediaType, digest, size } = target
  const image = { name, target: { mediaType, digest, size }, labels }
  const paths = ['target', ...Object.keys(labels).map((label) => `labels.${label}`)]
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = await recordOf(daemon, name)
    const [code, operation] = before === undefined ? (['ALREADY_EXISTS', 'create'] as const) : (['NOT_FOUND', 'update'] as const)
    const done = await daemon.callUnless(
      code,
      `${operation} an image`,
      async ({ images }, options) =>
        before === undefined
          ? await images.create({ image }, options)
          : await images.update({ image, updateMask: { paths } }, options),
      lease.id,
    )
    if (done !== undefined) return { [Symbol.asyncDispose]: () => daemon.undo(() => putBack(daemon, name, digest, before)) }
  }
  return fail({ kind: 'internal', what: `the name ${name} came and went ${ATTEMPTS} times while it was given` })
}

async function recordOf(daemon: Daemon, name: string): Promise<Image__Output | undefined> {
  const { images } = await daemon.call('list images', (c, options) =>
    c.images.list({ filters: [`name==${JSON.stringify(name)}`] }, options),
  )
  return images.find((image) => image.name === name)
}

/** Only what is still as we left it. */
async function putBack(daemon: Daemon, name: string, ours: Digest, before: Image__Output | undefined): Promise<void> {
  const now = await recordOf(daemon, name)
  if (now?.target?.digest !== ours) return
  if (before?.target == null)
    await daemon.callUnless('NOT_FOUND', 'delete an image', ({ images }, options) =>
      images.delete({ name, sync: false }, options),
    )
  else
    await daemon.callUnless('NOT_FOUND', 'update an image', ({ images }, options) =>
      images.update({ image: { name, target: before.target }, updateMask: { paths: ['target'] } }, options),
    )
}
