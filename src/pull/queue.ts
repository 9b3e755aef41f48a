/** What is to be pulled ahead of any pod, and how far it is: told by whoever pulls it, shown by whoever is asked for the queue of this node. */

/** An attempt that failed, and how many in a row have. */
export type Failed = { readonly reason: string; readonly attempts: number }

/** Where one image of one list stands. */
export type ImageState =
  | { readonly kind: 'waiting'; readonly until?: Date }
  /** `failed`: the last attempt before this one. */
  | { readonly kind: 'pulling'; readonly since: Date; readonly failed?: Failed }
  /** `isProtected`: pinned, so that kubelet's collection leaves it. `next`: when the registry is asked again. */
  | { readonly kind: 'here'; readonly image: string; readonly at: Date; readonly isProtected: boolean; readonly next?: Date }
  | ({ readonly kind: 'failed'; readonly next: Date } & Failed)

export const IMAGE_STATES = ['waiting', 'pulling', 'here', 'failed'] as const satisfies readonly ImageState['kind'][]

/** `name` in normal form. */
export type QueuedImage = { readonly list: string; readonly name: string; readonly priority: number; readonly state: ImageState }

/** All that is declared. */
export type DeclaredQueue = {
  /** Names of the lists, those without images too. */
  readonly lists: readonly string[]
  /** First what goes first. */
  readonly images: readonly QueuedImage[]
  /** What is wrong with the lists' files, one sentence each. */
  readonly problems: readonly string[]
  /** Why none begins just now that waits for nothing else. */
  readonly held?: string
}
