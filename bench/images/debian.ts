/**
 * A whole system: a Debian root from mmdebstrap and four more layers of Debian packages on top, each layer what overlay
 * found changed, whiteouts included, as an image build would have made it.
 */
import { cp, lstat, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cstr, lgetxattr } from '../../src/sys/libc.ts'
import type { Abortable } from '../../src/task/task.ts'
import { mounted, run } from '../../test/integration/process.ts'
import type { Maker } from './images.ts'

const layers: readonly (readonly string[])[] = [
  ['perl', 'python3', 'git', 'curl', 'ca-certificates'],
  ['gcc', 'g++', 'make', 'clang', 'libssl-dev'],
  ['linux-headers-amd64', 'fonts-noto-cjk', 'fonts-dejavu'],
  ['openjdk-17-jre-headless', 'vim', 'python3-numpy', 'nodejs'],
]

/** The directories of its layers, base first. */
export const debianRoots: Maker = async (roots, say, options) => {
  say('mmdebstrap bookworm')
  const base = join(roots, 'base')
  // The package lists stay, for the layers above; they are left out of the tar.
  await run('mmdebstrap', ['--mode=root', '--variant=minbase', '--skip=cleanup/apt', 'bookworm', base], options)
  const stack = [base]
  for (const packages of layers) {
    say(`apt-get install ${packages.join(' ')}`)
    stack.unshift(await installLayer(roots, stack, packages, options))
  }
  return stack.toReversed()
}

/** Installs packages on top of `stack` (topmost first) and returns the directory that holds what has changed. */
async function installLayer(
  roots: string,
  stack: readonly string[],
  packages: readonly string[],
  options: Abortable,
): Promise<string> {
  const dir = join(roots, `layer-${stack.length}`)
  const [upper, work, merged] = [join(dir, 'upper'), join(dir, 'work'), join(dir, 'merged')]
  for (const each of [upper, work, merged]) await mkdir(each, { recursive: true })
  const plain = 'redirect_dir=off,metacopy=off,index=off'
  {
    using _root = mounted(merged, [
      '-t',
      'overlay',
      'overlay',
      '-o',
      `lowerdir=${stack.join(':')},upperdir=${upper},workdir=${work},${plain}`,
    ])
    using _proc = mounted(join(merged, 'proc'), ['-t', 'proc', 'proc'])
    await cp('/etc/resolv.conf', join(merged, 'etc/resolv.conf'), { dereference: true })
    const install = ['apt-get', 'install', '-qq', '--yes', '--no-install-recommends', ...packages]
    await run('chroot', [merged, '/usr/bin/env', 'DEBIAN_FRONTEND=noninteractive', ...install], options)
  }
  await whiteoutsAsFiles(upper)
  return upper
}

/** Overlay's way of saying "deleted" (character device 0:0, an xattr) becomes the layer's (image-spec layer.md, "Whiteouts"). */
async function whiteoutsAsFiles(upper: string): Promise<void> {
  for (const entry of await readdir(upper, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isCharacterDevice() && (await lstat(path)).rdev === 0) {
      await rm(path)
      await writeFile(join(entry.parentPath, `.wh.${entry.name}`), '')
    }
    if (entry.isDirectory() && isOpaque(path)) await writeFile(join(path, '.wh..wh..opq'), '')
  }
}

const isOpaque = (path: string): boolean => lgetxattr(cstr(path), cstr('trusted.overlay.opaque'), Buffer.alloc(1), 1) === 1
