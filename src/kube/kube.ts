/**
 * What a cluster is told of its node, where it wants to be: a condition for each image list, an Event for each failure. Windlass needs nothing
 * of it: what cannot be said is tried again, then logged, and no pull waits for it.
 *
 *     in-cluster.ts  who we are: the service account that is mounted, the API server's address, the node's name
 *     api.ts         one request, tried as often as makes sense: a token that has rotated, conflicts, too many requests
 *     conditions.ts  conditions of the node, patched as lists become whole, and as they lose an image
 *     events.ts      Events, one for each thing that goes wrong, counted up when it does again
 *
 * Rights: `patch` on `nodes/status`, `create` and `patch` on `events` (deploy/kubernetes/cluster/rbac.yaml).
 */

/** How far one list is. */
export type ListStanding = {
  readonly name: string
  /** Every image of it is here, verified as it came, and not known to be damaged since. */
  readonly isWhole: boolean
  /** One word, CamelCase; and a sentence. */
  readonly reason: string
  readonly message: string
}

/** Something that went wrong. `subject` tells it from others of the same reason. */
export type Mishap = { readonly reason: string; readonly subject: string; readonly message: string }

export interface Cluster extends AsyncDisposable {
  /** How far lists are now. `areAll`: there are no others; else what was told of others stays as it is. */
  lists(standings: readonly ListStanding[], areAll: boolean): void
  mishap(mishap: Mishap): void
}

/** What `Cluster` is built over; `api.ts` has one. Rejects with `Refused` once it is given up. */
export interface Api {
  send(request: ApiRequest, options: { readonly signal: AbortSignal }): Promise<unknown>
}

export type ApiRequest =
  | { readonly method: 'POST'; readonly path: string; readonly body: object }
  | { readonly method: 'PATCH'; readonly path: string; readonly body: object; readonly type: PatchType }
export type PatchType = 'application/strategic-merge-patch+json' | 'application/merge-patch+json'

/** The API server's last answer, or that there was none. */
export class Refused extends Error {
  readonly status: number | undefined

  constructor(message: string, status?: number) {
    super(message)
    this.status = status
  }
}

export type Told = {
  /** A write has succeeded, or was given up; must not throw. */
  readonly onWrite: (resource: 'nodes' | 'events', outcome: 'done' | 'failed') => void
  readonly log: { warn(fields: object, text: string): void }
}
