/** Why a pull is the runtime's own to do: whoever lands images beside it must not go past what it would have asked or done. */
import type { RuntimeFacts } from './runtime.ts'

export type Obstacle = { readonly reason: 'obstacle' | 'runtime-handler'; readonly text: string }

/** Undefined where the pull can be ours. `handler` is the runtime handler to pull for; empty for the default. */
export function obstacleFor(
  { obstacles, otherSnapshotters }: Pick<RuntimeFacts, 'obstacles' | 'otherSnapshotters'>,
  handler: string,
): Obstacle | undefined {
  const [text] = obstacles
  if (text !== undefined) return { reason: 'obstacle', text }
  const snapshotter = otherSnapshotters.get(handler)
  if (snapshotter === undefined) return undefined
  return { reason: 'runtime-handler', text: `the runtime handler ${handler} uses the snapshotter ${snapshotter}` }
}
