/** Which layers are mounted: taking one away would empty a tree somebody looks at, or a container that runs. */
import { readFileSync } from 'node:fs'
import type { LayerId } from '../../oci/digest.ts'
import { linkOf } from './layout.ts'

/**
 * Those of `ids` that are a lowerdir of an overlay mount in this process's mount namespace, by their short name or their path, and where
 * it is mounted. Mounts in other namespaces are not seen.
 */
export function mountedLayers(ids: readonly LayerId[]): ReadonlyMap<LayerId, readonly string[]> {
  // The type stands behind " - " (proc_pid_mountinfo(5)); lower directories are listed in the options at the line's end.
  const overlays = readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .filter((line) => line.includes(' - overlay '))
  if (overlays.length === 0) return new Map()
  const all = overlays.join('\n')
  const mounted = ids.filter((id) => all.includes(`/${linkOf(id)}`) || all.includes(`/${id}/`))
  const targetsOf = (id: LayerId): string[] =>
    overlays.filter((line) => line.includes(`/${linkOf(id)}`) || line.includes(`/${id}/`)).map(targetOf)
  return new Map(mounted.map((id) => [id, targetsOf(id)]))
}

/** The fifth field, in which white space and backslashes are written in octal. */
const targetOf = (line: string): string =>
  Buffer.from(
    (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    'latin1',
  ).toString()
