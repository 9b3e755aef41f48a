/** What the tests use of the machine beside Node: real registries and runtimes, from Debian, where they can be had. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants as constantsOf } from 'node:os'
import { delimiter, join } from 'node:path'

/** A Debian package, the file or command that shows it is there, and the tests that cannot run without it. */
export type Part = { readonly package: string; readonly shownBy: string; readonly neededBy: string }

const library = process.arch === 'arm64' ? '/usr/lib/aarch64-linux-gnu' : '/usr/lib/x86_64-linux-gnu'

/** Optional everywhere: zlib does the same, slower. */
export const isal: Part = {
  package: 'libisal2',
  shownBy: `${library}/libisal.so.2`,
  neededBy: 'inflating with ISA-L (zlib is tested either way)',
}

export const testParts: readonly Part[] = [
  { package: 'docker-registry', shownBy: 'docker-registry', neededBy: 'pulls from a real registry' },
  { package: 'nginx-light', shownBy: 'nginx', neededBy: 'pulls through a mirror that caches' },
  { package: 'haproxy', shownBy: 'haproxy', neededBy: 'pulls through a load balancer' },
  { package: 'openssl', shownBy: 'openssl', neededBy: 'registries with certificates, and tokens that are signed' },
  { package: 'containerd', shownBy: 'containerd', neededBy: 'the comparison with containerd' },
  { package: 'podman', shownBy: 'podman', neededBy: 'podman reading our store as an additional image store' },
  { package: 'skopeo', shownBy: 'skopeo', neededBy: 'images as skopeo pushes them' },
  { package: 'buildah', shownBy: 'buildah', neededBy: 'the image, built from the Dockerfile' },
  { package: 'runc', shownBy: 'runc', neededBy: 'starting containers from pulled images' },
  { package: 'mmdebstrap', shownBy: 'mmdebstrap', neededBy: 'a Debian root to compare with containerd' },
  { package: 'busybox-static', shownBy: 'busybox', neededBy: 'images whose processes run' },
  { package: 'zstd', shownBy: 'zstd', neededBy: 'zstd layers as the zstd tool writes them' },
  { package: 'btrfs-progs', shownBy: 'mkfs.btrfs', neededBy: 'a disk quota that is reached' },
  { package: 'strace', shownBy: 'strace', neededBy: 'disks that fail: calls answered with an error, or not made' },
  { package: 'iproute2', shownBy: 'tc', neededBy: 'a link of so many bytes a second, which a pull ahead leaves to a pod’s' },
  { package: 'systemd', shownBy: '/lib/systemd/systemd', neededBy: 'the units of deploy/, checked and started' },
  { package: 'prometheus', shownBy: 'promtool', neededBy: 'alerts, checked and tried by promtool' },
  isal,
]

/** Where a command is on PATH, /usr/sbin included. */
export function which(command: string): string | undefined {
  if (command.startsWith('/')) return existsSync(command) ? command : undefined
  for (const dir of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']) {
    const path = join(dir, command)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this directory; the next one may have it.
    }
  }
  return undefined
}

export const isRoot = (): boolean => process.getuid?.() === 0

export const missingOf = (parts: readonly Part[]): readonly Part[] => parts.filter(({ shownBy }) => which(shownBy) === undefined)

/**
 * Installs the parts that are missing, without starting any service. Returns why it could not, if it could not: what is missing
 * afterwards is for the caller to look up again.
 */
export function installMissing(parts: readonly Part[]): string | undefined {
  const missing = missingOf(parts)
  if (missing.length === 0) return undefined
  if (which('apt-get') === undefined) return 'apt-get is not here; install them with your own package manager'
  const names = missing.map((part) => part.package)
  const command = `apt-get install --no-install-recommends ${names.join(' ')}`
  if (!isRoot()) return `not root; as root: ${command}`
  console.log(`set-up     ${command}`)
  using _quiet = servicesStayDown()
  // The lists may be absent or old: try with what is there, then with fresh ones, and once more for a network that hiccuped.
  if (install(names)) return undefined
  for (let attempt = 1; attempt <= 2; attempt++) {
    apt(['update'])
    if (install(names)) return undefined
  }
  // One package that cannot be had must not cost the others.
  const lost = names.filter((name) => !install([name]))
  return lost.length === 0 ? undefined : `apt-get could not install ${lost.join(', ')}; see its messages above`
}

const install = (names: readonly string[]): boolean => apt(['install', '--yes', '--no-install-recommends', ...names])

function apt(args: readonly string[]): boolean {
  const options = ['-qq', '-o', 'Dpkg::Use-Pty=0', '-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=1']
  const { status, stdout, stderr } = spawnSync('apt-get', [...options, ...args], {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
    maxBuffer: 64 * 1024 * 1024,
  })
  if (status !== 0) console.error(`${stdout ?? ''}${stderr ?? ''}`.trim())
  return status === 0
}

/** Debian starts a daemon as soon as it is installed, unless policy-rc.d (deb-systemd-invoke asks it too) forbids it. */
function servicesStayDown(): Disposable {
  const policy = '/usr/sbin/policy-rc.d'
  const ours = '#!/bin/sh\n# Written while the tests of windlass install packages; may be removed.\nexit 101\n'
  // One of ours is left where an earlier run was killed.
  if (existsSync(policy) && readFileSync(policy, 'utf8') !== ours) return { [Symbol.dispose]: () => {} }
  writeFileSync(policy, ours, { mode: 0o755 })
  // With a handler the signal waits until apt-get, which gets it too, has ended and the file is gone.
  const stop = (name: NodeJS.Signals): never => process.exit(128 + constantsOf.signals[name])
  process.once('SIGINT', stop).once('SIGTERM', stop)
  return {
    [Symbol.dispose]: () => {
      rmSync(policy, { force: true })
      process.off('SIGINT', stop).off('SIGTERM', stop)
    },
  }
}
