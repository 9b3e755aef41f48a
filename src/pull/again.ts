/** Pulls what is here already once more, for the sake of layers that are damaged. */
import { parseReference } from '../reference/parse.ts'
import type { Credentials } from '../registry/registry.ts'
import type { StoredImage } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import type { Puller, PullRequest } from './pull.ts'

/** The credentials are for one registry: an image that came from another is pulled without. */
export type Login = { readonly registry: string; readonly credentials: Credentials }

export const pullAgain =
  (puller: Pick<Puller, 'pull'>, client: PullRequest['client'], login: Login | undefined) =>
  async (image: StoredImage, digestName: string, options: Abortable): Promise<void> => {
    const reference = parseReference(digestName)
    const credentials: Credentials = reference.registry === login?.registry ? login.credentials : { kind: 'anonymous' }
    await puller.pull({ reference, credentials, client, platform: image.config.platform }, options)
  }
