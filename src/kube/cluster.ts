/** The cluster of this node, put together. */
import { ClusterApi } from './api.ts'
import { Conditions } from './conditions.ts'
import { Events } from './events.ts'
import type { InCluster } from './in-cluster.ts'
import type { Cluster, Told } from './kube.ts'

export type ClusterOptions = InCluster & Told & { readonly userAgent: string }

export function createCluster({ onWrite, log, ...who }: ClusterOptions): Cluster {
  const stack = new AsyncDisposableStack()
  const api = stack.use(new ClusterApi(who))
  const common = { api, node: who.node, onWrite, log }
  const conditions = stack.use(new Conditions(common))
  const events = stack.use(new Events(common))
  return {
    lists: (standings, areAll) => conditions.set({ standings, areAll }),
    mishap: (mishap) => events.add(mishap),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}
