/** Bases for the image, made of this machine's own files, because no registry need be reached: a builder, and what Node needs to run. */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isal, which } from '../../scripts/machine.ts'
import { top } from '../../scripts/release/compile.ts'
import { processorHere, processors } from '../../scripts/release/components.ts'

const node = join(top, 'node_modules', processors[processorHere].node, 'bin/node')
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'

const said = (command: string, ...args: readonly string[]): string => {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stderr}`)
  return stdout.trim()
}

const put = (root: string, from: string, to = from): void => {
  mkdirSync(dirname(join(root, to)), { recursive: true })
  cpSync(realpathSync(from), join(root, to), { recursive: true })
}

/** glibc and libstdc++ as the loader finds them, and certificates: no shell, nothing to run. */
export function runtimeBase(root: string): void {
  for (const [, library = ''] of said('ldd', node).matchAll(/(?:=> |^\s+)(\/\S+) \(/gm)) put(root, library)
  if (existsSync(CERTIFICATES)) put(root, CERTIFICATES)
  for (const dir of ['etc', 'tmp', 'proc', 'sys', 'dev']) mkdirSync(join(root, dir), { recursive: true })
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/sbin/nologin\n')
}

/** The same with busybox, Node and npm. */
export function buildBase(root: string): void {
  runtimeBase(root)
  put(root, which('busybox') ?? '', '/bin/busybox')
  mkdirSync(join(root, 'usr/bin'), { recursive: true })
  for (const applet of said('busybox', '--list').split('\n'))
    if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet))
  symlinkSync('/bin/env', join(root, 'usr/bin/env'))
  put(root, node, '/usr/bin/node')
  put(root, join(said('npm', 'root', '--global'), 'npm'), '/usr/lib/node_modules/npm')
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/bin/npm'))
  if (existsSync(isal.shownBy)) put(root, isal.shownBy)
  mkdirSync(join(root, 'root'))
}

/** What npm in the build must know of this machine's: the registry, and whom it trusts. */
export const npmrc = (): string =>
  [`registry=${said('npm', 'config', 'get', 'registry')}`, ...(existsSync(CERTIFICATES) ? [`cafile=${CERTIFICATES}`] : [])].join(
    '\n',
  )

export const npmCache = (): string => said('npm', 'config', 'get', 'cache')
