/** Which layers are mounted: taking one away would empty a tree somebody looks at, or a container that runs. */
import { readFileSync } from 'node:fs'
import type { LayerId } from '../../oci/digest.ts'
import { linkOf } from './layout.ts'

/**
 * Those of `ids` that are a lowerdir of an overlay mount in this process's mount namespace, by their short name or their path. Mounts in other
 * namespaces are not seen.
 */
export function mountedLayers(ids: readonly LayerId[]): readonly LayerId[] {
  // The type stands behind " - " (proc_pid_mountinfo(5)); lower directories are listed in the options at the line's end.
  const overlays = readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .filter((line) => line.includes(' - overlay '))
    .join('\n')
  return overlays === '' ? [] : ids.filter((id) => overlays.includes(`/${linkOf(id)}`) || overlays.includes(`/${id}/`))
}
