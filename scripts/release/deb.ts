/** A release as a Debian package, made by dpkg-deb. What happens when it is installed is in deploy/debian. */
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempDisposableSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type Release, settle } from './tree.ts'

/** Where the units and scripts expect the release; see deploy/debian/postinst. */
const HOME = 'usr/lib/windlass'
const COMPRESSION = { xz: ['-Zxz', '-z2'], none: ['-Znone'] } as const
const DESCRIPTION = `Description: pulls container images for Kubernetes nodes
 Windlass serves CRI's ImageService on a unix socket, verifies every byte, and unpacks
 layers in parallel into the store of the container runtime of the node: containerd,
 or CRI-O and podman. Node.js comes with it.`

/** xz's highest level takes minutes for the last tenth; none is made at once, for tests. Returns the package's name, in `outDir`. */
export function makeDeb(tree: string, outDir: string, release: Release, compression: keyof typeof COMPRESSION): string {
  const name = `windlass_${release.version}_${release.processor}.deb`
  using made = mkdtempDisposableSync(join(outDir, '.deb-'))
  const at = (path: string): string => join(made.path, path)
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(at(path)), { recursive: true })
    writeFileSync(at(path), text)
  }
  const deployed = (path: string): string => readFileSync(join(tree, 'deploy', path), 'utf8')

  mkdirSync(at(HOME), { recursive: true })
  linkTree(tree, at(`${HOME}/release`))
  mkdirSync(at('usr/bin'), { recursive: true })
  symlinkSync('../lib/windlass/current/bin/windlass', at('usr/bin/windlass'))
  for (const unit of ['windlass.service', 'windlass.socket'])
    put(`lib/systemd/system/${unit}`, deployed(`systemd/${unit}`).replaceAll('/opt/windlass/', `/${HOME}/current/`))
  put('etc/windlass/windlass.yaml', deployed('debian/windlass.yaml'))
  put('usr/share/doc/windlass/copyright', readFileSync(join(tree, 'LICENSES.txt'), 'utf8'))
  symlinkSync('../../../lib/windlass/current/docs', at('usr/share/doc/windlass/docs'))
  put('DEBIAN/control', control(release, Math.ceil(sizeOf(tree) / 1024)))
  put('DEBIAN/conffiles', '/etc/windlass/windlass.yaml\n')
  for (const directory of ['usr', 'lib', 'etc', 'DEBIAN']) settle(at(directory), release.seconds)
  for (const script of ['postinst', 'prerm', 'postrm'])
    cpSync(join(tree, 'deploy/debian', script), at(`DEBIAN/${script}`), { preserveTimestamps: true })
  build(made.path, join(outDir, name), release.seconds, COMPRESSION[compression])
  return name
}

/** The packaging changes nothing of it, so its files are not copied. */
function linkTree(tree: string, to: string): void {
  const { status, stderr } = spawnSync('cp', ['-al', tree, to], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${tree} could not be linked to ${to}: ${stderr}`)
}

function build(dir: string, to: string, seconds: number, compression: readonly string[]): void {
  const { status, error, stderr } = spawnSync('dpkg-deb', ['--root-owner-group', ...compression, '--build', dir, to], {
    encoding: 'utf8',
    env: { ...process.env, SOURCE_DATE_EPOCH: String(seconds) },
  })
  if (status !== 0) throw new Error(`dpkg-deb could not make ${to}: ${error?.message ?? stderr}`, { cause: error })
}

/** Node's binary wants glibc 2.28; ISA-L is optional, with it gzip layers inflate half as fast again. */
const control = ({ version, processor }: Release, kibibytes: number): string => `Package: windlass
Version: ${version}
Architecture: ${processor}
Maintainer: The authors of Windlass <noreply@windlass.dev>
Installed-Size: ${kibibytes}
Depends: libc6 (>= 2.28), libstdc++6 (>= 8), libgcc-s1 | libgcc1, ca-certificates
Recommends: libisal2
Suggests: cri-tools
Section: admin
Priority: optional
${DESCRIPTION}
`

const sizeOf = (dir: string): number =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
