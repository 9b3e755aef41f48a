/** Pulls what is here already once more, for the sake of layers that are damaged. */
import { fail } from '../failure/failure.ts'
import type { Platform } from '../oci/oci.ts'
import { parseReference } from '../reference/parse.ts'
import type { Credentials } from '../registry/registry.ts'
import { findImage } from '../store/lookup.ts'
import type { Store, StoredImage } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import type { Puller, PullRequest } from './pull.ts'

/** The credentials are for one registry: an image that came from another is pulled without. */
export type Login = { readonly registry: string; readonly credentials: Credentials }

/**
 * The login that credentials given for named images make: their registry's. Throws invalid-argument where they name no one image, or one that
 * came from several registries and is named by id; image-unknown, invalid-reference.
 */
export async function loginFor(
  store: Pick<Store, 'find'>,
  names: readonly string[],
  credentials: Credentials,
): Promise<Login | undefined> {
  if (credentials.kind === 'anonymous') return undefined
  const refuse = (reason: string): never => fail({ kind: 'invalid-argument', what: 'credentials', reason })
  const [name, ...more] = names
  if (name === undefined || more.length > 0) return refuse('they are for one registry: name one image')
  const found = (await findImage(store, name)) ?? fail({ kind: 'image-unknown', names: [name] })
  if (found.by !== 'id') return { registry: parseReference(name).registry, credentials }
  const [registry, ...others] = new Set(found.image.digests.map((digest) => parseReference(digest).registry))
  if (registry === undefined || others.length > 0) return refuse('this image is not of one registry: name it by reference')
  return { registry, credentials }
}

/** An image that is, or was, here. */
type Known = Pick<StoredImage, 'id'> & { readonly platform: Platform }

type Again<O extends Abortable> = (image: Known, digestName: string, options: O) => Promise<void>

/** Both by a digest name of the image; `check` asks the registry for all that a pull would need, and keeps none of it. */
export function pullAgain(
  puller: Pick<Puller, 'pull' | 'check'>,
  client: PullRequest['client'],
  login: Login | undefined,
): { readonly check: Again<Abortable & { readonly from: number }>; readonly pull: Again<Abortable> } {
  const requestFor = ({ platform }: Known, digestName: string): PullRequest => {
    const reference = parseReference(digestName)
    const credentials: Credentials = reference.registry === login?.registry ? login.credentials : { kind: 'anonymous' }
    return { reference, credentials, client, platform }
  }
  return {
    check: async (image, digestName, options) => await puller.check(requestFor(image, digestName), options),
    pull: async (image, digestName, options) => void (await puller.pull(requestFor(image, digestName), options)),
  }
}
