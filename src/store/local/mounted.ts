/** Which layers are mounted: taking one away would empty a tree somebody looks at, or a container that runs. */
import type { LayerId } from '../../oci/digest.ts'
import { overlays } from '../../sys/overlays.ts'
import { linkOf } from './layout.ts'

/**
 * Those of `ids` that are a lowerdir of an overlay mount in this process's mount namespace, by their short name or their path, and where
 * it is mounted. Mounts in other namespaces are not seen.
 */
export function mountedLayers(ids: readonly LayerId[]): ReadonlyMap<LayerId, readonly string[]> {
  // By every name in the paths of lower directories: a layer's own is one of them.
  const targets = new Map<string, Set<string>>()
  for (const { target, lowers } of overlays())
    for (const name of lowers.flatMap((lower) => lower.split('/')))
      targets.set(name, (targets.get(name) ?? new Set()).add(target))
  const targetsOf = (id: LayerId): string[] => [...(targets.get(linkOf(id)) ?? []), ...(targets.get(id) ?? [])]
  return new Map(ids.map((id) => [id, [...new Set(targetsOf(id))]] as const).filter(([, at]) => at.length > 0))
}
