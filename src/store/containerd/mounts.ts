/** containerd's description of a snapshot's mounts, read as the directories they are made of. */
import { isAbsolute } from 'node:path'
import { fail } from '../../failure/failure.ts'
import type { Mount__Output } from '../../rpc/generated/containerd/types/Mount.ts'

/** `upper` is where a prepared snapshot is written to; `lowers` are the layers below it, nearest first. */
export type SnapshotDirectories = { readonly upper?: string; readonly lowers: readonly string[] }

/** Throws unsupported for what is not one mount of the overlayfs snapshotter. */
export function directoriesOf(mounts: readonly Mount__Output[]): SnapshotDirectories {
  const [mount, ...more] = mounts
  const found = mount === undefined || more.length > 0 ? undefined : read(mount)
  const paths = found === undefined ? [] : [...found.lowers, ...(found.upper === undefined ? [] : [found.upper])]
  if (found !== undefined && paths.length > 0 && paths.every(isAbsolute)) return found
  return fail({
    kind: 'unsupported',
    what: 'snapshot',
    mediaType: mounts.map(({ type }) => type).join(' over ') || 'without a mount',
    hint: "only containerd's overlayfs snapshotter can be landed in",
  })
}

function read({ type, source, options }: Mount__Output): SnapshotDirectories | undefined {
  // A snapshot with nothing below is its directory itself; a view of one layer is that layer.
  if (type === 'bind') return options.includes('ro') ? { lowers: [source] } : { upper: source, lowers: [] }
  if (type !== 'overlay') return undefined
  const value = (name: string): string | undefined =>
    options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1)
  const [upper, lower] = [value('upperdir'), value('lowerdir')]
  return { ...(upper === undefined ? {} : { upper }), lowers: lower === undefined ? [] : lower.split(':') }
}
