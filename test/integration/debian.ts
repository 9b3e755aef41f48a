/** A Debian root as distributions make them, and layers on top that change it in every way a layer can. */
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Abortable } from '../../src/task/task.ts'
import { type BuiltImage, buildImage } from '../support/image.ts'
import { type TarPart, tar } from '../support/tar.ts'
import { here } from './images.ts'
import { nastyLayers } from './nasty.ts'
import { run } from './process.ts'

/** Kept for the next run: half a minute, and some 100 MB of packages. */
const cache = join(tmpdir(), 'windlass-debian')

/** The tar of a root with Debian's essential packages, made by mmdebstrap. */
async function debianRoot(options: Abortable): Promise<Buffer> {
  const file = join(cache, `bookworm-${here.architecture}.tar`)
  if (!existsSync(file)) {
    await mkdir(cache, { recursive: true })
    // Whole or not at all: a run that was ended leaves no half of it.
    await run('mmdebstrap', ['--mode=root', '--variant=essential', '--format=tar', 'bookworm', `${file}.part`], options)
    await rename(`${file}.part`, file)
  }
  return await readFile(file)
}

const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')
const longest = 'n'.repeat(255)
/** Every directory of a path a thousand deep. */
const deep = Array.from({ length: 1_000 }, (_, level) => `deep${'/d'.repeat(level + 1)}`)
/** containerd walks each member's path from the root, some 40 ms at this depth: one directory in fifty has an entry of its own. */
const named = deep.filter((_, level) => level % 50 === 49)
/** The one that is changed above. */
const touched = deep[89]
/** Only in the lowest layer: on an overlay, containerd's way to make a path costs the cube of its depth, half a minute for a thousand. */
const deepest: readonly TarPart[] = [
  { name: 'deep/', type: 'dir' },
  ...named.map((name): TarPart => ({ name: `${name}/`, type: 'dir', mode: 0o710, uid: 9, pax: { mtime: '1700000001.5' } })),
  { name: `${touched}/old`, content: 'deleted above' },
  { name: `${deep.at(-1)}/leaf`, content: 'a thousand deep', mode: 0o4755, pax: { mtime: '1700000002.25' } },
]

/** What a build on top of Debian does to it. The parents are left out, as build tools leave them out. */
const changes: readonly TarPart[] = [
  { name: 'usr/bin/dpkg', content: 'replaced', mode: 0o755 },
  { name: 'usr/bin/.wh.perl', content: '' },
  { name: 'usr/share/.wh.doc', content: '' },
  { name: 'etc/apt/.wh..wh..opq', content: '' },
  { name: 'etc/apt/sources.list', content: 'the only file left\n' },
  // A directory becomes a file, a file a directory, a symlink a directory, a directory a symlink.
  { name: 'usr/share/man', content: 'a file' },
  { name: 'etc/hostname/', type: 'dir', mode: 0o700 },
  { name: 'etc/hostname/inside', content: 'a directory' },
  { name: 'etc/os-release/', type: 'dir' },
  { name: 'var/cache', type: 'symlink', link: 'lib' },
  { name: 'usr/bin/passwd', content: 'setuid', mode: 0o4755 },
  { name: 'usr/bin/wall', content: 'setgid', mode: 0o2755, gid: 5 },
  { name: 'usr/bin/capable', content: 'c', mode: 0o755, xattrs: { 'security.capability': capability } },
  { name: 'tmp/below', content: 'tmp stays 1777' },
  { name: `srv/${longest}/`, type: 'dir', pax: { mtime: '1700000000.123456789' } },
  { name: `srv/${longest}/${longest}`, content: 'the longest name there is' },
  { name: `${touched}/.wh.old`, content: '' },
  { name: `${touched}/new`, content: 'ninety deep' },
]

/** Directories the changes imply, beside those of the nasty layers: their times differ, as there. */
export const impliedInDebian: readonly string[] = [
  ...['etc/apt', 'srv', 'usr', 'usr/bin', 'usr/share', 'var', 'deep'],
  ...deep.filter((path, level) => level <= 89 || !named.includes(path)),
]

/** Debian, the nasty layers, and the changes: every kind of layer above a real root. */
export const changedDebian = async (options: Abortable): Promise<BuiltImage> =>
  buildImage({
    platform: here,
    layers: [
      { tar: Buffer.concat([tar(deepest, { end: false }), await debianRoot(options)]), compression: 'zstd' },
      ...nastyLayers,
      { tar: changes, compression: 'gzip' },
    ],
  })
