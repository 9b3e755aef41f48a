/** Images whose processes run, made of Debian's static busybox. */
import { readFileSync } from 'node:fs'
import { which } from '../../scripts/machine.ts'
import { type BuiltIndex, type BuiltLayer, buildImage, buildIndex, buildLayer } from '../support/image.ts'
import type { TarPart } from '../support/tar.ts'

export const here = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' } as const

const busybox = (...names: readonly string[]): readonly TarPart[] => [
  { name: 'bin/', type: 'dir' },
  { name: 'bin/busybox', content: readFileSync(which('busybox') ?? ''), mode: 0o755 },
  ...names.map((name): TarPart => ({ name: `bin/${name}`, type: 'symlink', link: 'busybox' })),
]

/** A cap_net_raw capability (linux/capability.h, VFS_CAP_REVISION_2). */
const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')

/** A shell and what it finds: the middle layer replaces a file, the top one deletes another and makes a directory opaque. */
export function shellImage(): BuiltIndex {
  const base = buildLayer({
    tar: [
      ...busybox('sh', 'cat', 'ls', 'sleep', 'stat'),
      { name: 'bin/capable', content: 'a capability', mode: 0o755, xattrs: { 'security.capability': capability } },
      { name: 'etc/', type: 'dir' },
      { name: 'etc/replaced', content: 'from the base\n' },
      { name: 'etc/deleted', content: 'gone\n' },
      { name: 'opaque/', type: 'dir' },
      { name: 'opaque/old', content: 'hidden\n' },
      { name: 'tmp/', type: 'dir', mode: 0o1777 },
      ...['proc', 'sys', 'dev'].map((name): TarPart => ({ name: `${name}/`, type: 'dir' })),
    ],
    compression: 'gzip',
  })
  const middle = buildLayer({ tar: [{ name: 'etc/replaced', content: 'from the middle\n' }], compression: 'zstd' })
  const top = buildLayer({
    tar: [
      { name: 'etc/.wh.deleted' },
      { name: 'opaque/.wh..wh..opq' },
      { name: 'opaque/new', content: 'shown\n' },
      { name: 'tmp/kept', content: 'sticky\n' },
    ],
    compression: 'gzip',
  })
  return imageOf([base, middle, top], { Cmd: ['/bin/sh'] })
}

/** What a script prints in a container of it, and the script. */
export const inShellImage = {
  script: 'cat /etc/replaced /etc/deleted 2>&1; ls /opaque; stat -c %a /tmp',
  says: "from the middle\ncat: can't open '/etc/deleted': No such file or directory\nnew\n1777\n",
}

/** The process that holds a pod's namespaces. */
export const pauseImage = (): BuiltIndex =>
  imageOf([buildLayer({ tar: busybox('sleep') })], { Entrypoint: ['/bin/sleep', '1000000'] })

const imageOf = (layers: readonly BuiltLayer[], run: Readonly<Record<string, unknown>>): BuiltIndex =>
  buildIndex([buildImage({ platform: here, layers, run })])
