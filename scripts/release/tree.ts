/** The directory that a release is: what it holds is the same in a tarball, a Debian package and an image. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { compile, top } from './compile.ts'
import { componentsFor, type Processor, processors } from './components.ts'
import { licencesOf } from './licences.ts'
import { sbomOf } from './sbom.ts'

/** `seconds` since 1970 are what all of it is dated. */
export type Release = { readonly version: string; readonly processor: Processor; readonly seconds: number }

const manifest = z.looseObject({ version: z.string() })
const readManifest = () => manifest.parse(JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')))
export const versionHere = (): string => readManifest().version

/** Makes `tree`, which must not be there yet. `modules` puts the packages into it. */
export function layOut(tree: string, { version, processor, seconds }: Release, modules = installModules): void {
  mkdirSync(tree, { recursive: true })
  modules(tree, processor)
  const { node } = processors[processor]
  for (const name of ['include', 'share']) rmSync(join(tree, 'node_modules', node, name), { recursive: true, force: true })
  compile(join(tree, 'lib'))
  for (const name of ['bin', 'proto', 'deploy', 'docs', 'LICENSE', 'README.md'].filter((name) => isThere(name)))
    cpSync(join(top, name), join(tree, name), { recursive: true })
  // The same path for every processor, for units and images.
  symlinkSync(`../node_modules/${node}/bin/node`, join(tree, 'bin/node'))
  writeManifest(tree, version)
  writeFileSync(join(tree, 'sbom.cdx.json'), sbomOf(processor, version, seconds))
  writeFileSync(join(tree, 'LICENSES.txt'), licencesOf(tree, processor))
  settle(tree, seconds)
}

/** The image's build has what runs, without the pages about it. */
const isThere = (name: string): boolean => readdirSync(top).includes(name)

/** What runs, as the lockfile has it, integrity included; npm's own notes name the registry it came from. */
function installModules(tree: string, processor: Processor): void {
  for (const name of ['package.json', 'package-lock.json', '.npmrc']) cpSync(join(top, name), join(tree, name))
  const platform = ['--os=linux', `--cpu=${processors[processor].cpu}`, '--libc=glibc']
  const args = ['ci', '--omit=dev', '--include=optional', '--ignore-scripts', ...platform, '--prefer-offline', '--loglevel=error']
  const { status, error, stderr } = spawnSync('npm', args, { cwd: tree, encoding: 'utf8' })
  if (status !== 0) throw new Error(`npm ci failed in ${tree}: ${error?.message ?? stderr}`, { cause: error })
  for (const name of ['node_modules/.bin', 'node_modules/.package-lock.json', 'package-lock.json', '.npmrc'])
    rmSync(join(tree, name), { recursive: true, force: true })
}

/** The same of what `npm ci` has put beside this checkout, where that was for this processor. */
export function copyModules(tree: string, processor: Processor): void {
  for (const { path } of componentsFor(processor)) cpSync(join(top, path), join(tree, path), { recursive: true })
}

/** Without what only a clone can do. */
export function writeManifest(tree: string, version: string): void {
  const { scripts, devDependencies, files, private: isPrivate, ...rest } = readManifest()
  writeFileSync(join(tree, 'package.json'), `${JSON.stringify({ ...rest, version }, null, 2)}\n`)
}

/** Everybody may read it, whatever the umask was; and it does not say when it was made. */
export function settle(dir: string, seconds: number): void {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) settle(path, seconds)
    else {
      if (entry.isFile()) chmodSync(path, statSync(path).mode & 0o100 ? 0o755 : 0o644)
      lutimesSync(path, seconds, seconds)
    }
  }
  chmodSync(dir, 0o755)
  lutimesSync(dir, seconds, seconds)
}
