/** A small image with everything in it that has gone wrong in somebody's extractor: what Windlass and containerd must agree on. */
import { randomBytes } from 'node:crypto'
import { type BuiltImage, buildImage, type LayerSpec } from '../support/image.ts'
import type { TarPart } from '../support/tar.ts'

/** A VFS_CAP_REVISION_2 capability (linux/capability.h): cap_net_raw, effective and permitted; NULs and all. */
const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')
const ns = (mtime: string) => ({ pax: { mtime } })
const long = 'n'.repeat(120)
/** Names are bytes; this one is no UTF-8. */
const latin1 = Buffer.from([0x63, 0x61, 0x66, 0xe9])

/** Twenty directories, one in the other, their path longer than a ustar header holds. */
const deep = Array.from({ length: 20 }, (_, level) =>
  Array(level + 1)
    .fill('directory-20-bytes--')
    .join('/'),
)

const base: readonly TarPart[] = [
  { name: './', type: 'dir', mode: 0o755, ...ns('1600000000.5') },
  { name: './usr/', type: 'dir' },
  { name: './usr/bin/', type: 'dir', ...ns('1600000001.123456789') },
  { name: './usr/lib/', type: 'dir' },
  { name: './bin', type: 'symlink', link: 'usr/bin', mode: 0o777, ...ns('1600000002.987654321') },
  { name: './lib', type: 'symlink', link: 'usr/lib', mode: 0o777 },
  { name: './tmp/', type: 'dir', mode: 0o1777 },
  { name: './srv/', type: 'dir', mode: 0o2775, uid: 1000, gid: 1001, xattrs: { 'user.on-dir': 'yes' } },
  { name: './etc/', type: 'dir', mode: 0o750, uid: 7, gid: 8, ...ns('1600000003.000000001') },
  { name: './etc/passwd', content: 'root:x:0:0:root:/root:/bin/sh\n', ...ns('1600000004.25') },
  { name: './etc/empty' },
  { name: './usr/bin/su', content: 'setuid', mode: 0o4755 },
  { name: './usr/bin/write', content: 'setgid', mode: 0o2755, gid: 5 },
  { name: './usr/bin/ping', content: 'capable', mode: 0o755, xattrs: { 'security.capability': capability } },
  { name: './usr/bin/sticky', content: 'sticky', mode: 0o1644 },
  { name: './usr/bin/secret', content: 'no one may read', mode: 0 },
  { name: './usr/bin/xattrs', content: 'x', xattrs: { 'user.binary': Buffer.from([0, 10, 61, 255]), 'user.empty': '' } },
  { name: './usr/lib/libc.so.6', content: randomBytes(300_000), uid: 4_000_000, gid: 3_000_000 },
  { name: './usr/lib/libc.so', type: 'hardlink', link: './usr/lib/libc.so.6' },
  { name: './lib-link-to-su', type: 'hardlink', link: './usr/bin/su' },
  { name: './dev/', type: 'dir' },
  { name: './dev/null', type: 'char', devMajor: 1, devMinor: 3, mode: 0o666 },
  { name: './dev/sda', type: 'block', devMajor: 8, devMinor: 0, mode: 0o660, gid: 6 },
  { name: './dev/large', type: 'char', devMajor: 300, devMinor: 70_000, mode: 0o600 },
  { name: './run/', type: 'dir' },
  { name: './run/fifo', type: 'fifo', mode: 0o600, ...ns('1600000005.75') },
  { name: './srv/made/on-the-way/file', content: 'below a setgid directory' },
  { name: `./srv/${long}`, content: 'a name too long for ustar' },
  { name: `./srv/gnu-${long}`, content: 'the GNU way', format: 'gnu' },
  { name: `./opt/${deep.at(-1)}/leaf`, content: 'deep' },
  { name: Buffer.concat([Buffer.from('./srv/'), latin1]), content: 'latin1' },
  { name: './srv/with\nnewline and \\ backslash', content: 'odd' },
  { name: './srv/e\u0301', content: 'decomposed' },
  { name: './srv/\u00e9', content: 'composed' },
  { name: './srv/absolute', type: 'symlink', link: '/etc/passwd' },
  { name: './srv/dangling', type: 'symlink', link: '../../../nowhere' },
  { name: './srv/long-target', type: 'symlink', link: `../${'t'.repeat(200)}` },
  { name: './gone/', type: 'dir' },
  { name: './gone/file', content: 'deleted above' },
  { name: './gone/dir/', type: 'dir' },
  { name: './gone/dir/inside', content: 'deleted with its directory' },
  { name: './gone/link', type: 'symlink', link: '../kept' },
  { name: './gone/comes-back', content: 'first' },
  { name: './kept/', type: 'dir' },
  { name: './kept/behind-link', content: 'a deleted link leaves its target alone' },
  { name: './opaque/', type: 'dir', mode: 0o711, uid: 3 },
  { name: './opaque/old', content: 'hidden' },
  { name: './opaque/deep/', type: 'dir' },
  { name: './opaque/deep/old', content: 'hidden' },
  { name: './swap/', type: 'dir' },
  { name: './swap/dir-to-file/', type: 'dir' },
  { name: './swap/dir-to-file/child', content: 'hidden' },
  { name: './swap/file-to-dir', content: 'hidden' },
  { name: './swap/link-to-dir', type: 'symlink', link: '../kept' },
  { name: './swap/dir-to-link/', type: 'dir' },
  { name: './swap/dir-to-link/child', content: 'hidden' },
  { name: './swap/file-to-link', content: 'hidden' },
  { name: './swap/fifo-to-file', type: 'fifo' },
  { name: './attributes/', type: 'dir', mode: 0o777, ...ns('1600000006.5') },
  { name: './attributes/child', content: 'stays' },
  { name: './linked/', type: 'dir' },
  { name: './linked/a', content: 'one file, three names' },
  { name: './linked/b', type: 'hardlink', link: './linked/a' },
  { name: './linked/c', type: 'hardlink', link: './linked/a' },
]

/** Leaves its parents out, as build tools do, deletes and replaces. */
const changes: readonly TarPart[] = [
  { name: 'tmp/from-above', content: 'tmp stays 1777' },
  { name: 'etc/app/app.conf', content: 'etc stays 0750 7:8' },
  { name: 'brand/new/parents/file', content: 'no layer has these directories' },
  { name: `opt/${deep[3]}/file`, content: 'deep parents implied' },
  { name: 'lib/hides-the-symlink', content: 'lib was a symlink' },
  { name: 'gone/.wh.file', content: '' },
  { name: 'gone/.wh.dir', content: '' },
  { name: 'gone/.wh.link', content: '' },
  { name: 'gone/.wh.comes-back', content: '' },
  { name: 'gone/.wh.never-was', content: '' },
  { name: 'opaque/', type: 'dir', mode: 0o700, ...ns('1600000007.5') },
  { name: 'opaque/.wh..wh..opq', content: '' },
  { name: 'opaque/new', content: 'the only one' },
  { name: 'swap/dir-to-file', content: 'now a file' },
  { name: 'swap/file-to-dir/', type: 'dir', mode: 0o700 },
  { name: 'swap/file-to-dir/child', content: 'now a directory' },
  { name: 'swap/link-to-dir/', type: 'dir' },
  { name: 'swap/link-to-dir/child', content: 'not in kept' },
  { name: 'swap/dir-to-link', type: 'symlink', link: '../kept' },
  { name: 'swap/file-to-link', type: 'symlink', link: 'fifo-to-file' },
  { name: 'swap/fifo-to-file', content: 'now a file' },
  { name: 'attributes/', type: 'dir', mode: 0o500, uid: 9, gid: 9, xattrs: { 'user.new': '1' }, ...ns('1600000008.5') },
  { name: 'linked/a', content: 'no longer the same file as b and c' },
]

/** Says things twice, and its directories after their children. */
const again: readonly TarPart[] = [
  { name: 'gone/comes-back', content: 'second' },
  { name: 'twice/file', content: 'the first is overwritten', mode: 0o600 },
  { name: 'twice/file', content: 'the last one counts', mode: 0o644 },
  { name: 'twice/', type: 'dir', mode: 0o1770, uid: 11, ...ns('1600000009.5') },
  { name: 'opaque/deep/implied', content: 'below what the layer before hid' },
  { name: '/absolute/name', content: 'the leading slash means nothing' },
  { name: 'linked/pair-1', content: 'pair', mode: 0o640 },
  { name: 'linked/pair-2', type: 'hardlink', link: 'linked/pair-1' },
  { name: 'tmp/again', content: 'still 1777' },
]

/** gzip, zstd, plain, and one with nothing in it. */
export const nastyLayers: readonly LayerSpec[] = [
  { tar: base, compression: 'gzip' },
  { tar: changes, compression: 'zstd' },
  { tar: again, compression: 'none' },
  { tar: [], compression: 'gzip' },
]

export const nastyImage = (): BuiltImage =>
  buildImage({ platform: { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' }, layers: nastyLayers })

/**
 * Directories that a layer leaves out of its tar, though it holds something below them: containerd gives them the time of
 * extraction, Windlass the time they have below. Nothing else may differ.
 */
export const impliedDirectories: readonly string[] = [
  'absolute',
  'brand',
  'brand/new',
  'brand/new/parents',
  'etc',
  'etc/app',
  'gone',
  'lib',
  'linked',
  'opaque',
  'opaque/deep',
  'opt',
  ...deep.map((path) => `opt/${path}`),
  'srv/made',
  'srv/made/on-the-way',
  'swap',
  'tmp',
]
