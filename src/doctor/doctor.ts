/**
 * Looks a node over: whether Windlass can do its work here, and what to change where it cannot. Everything is tried rather than looked
 * up where that leaves nothing behind. Needs no daemon.
 */
import { accessSync, constants, existsSync, readdirSync, statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { getCACertificates } from 'node:tls'
import { describe, failureOf } from '../failure/failure.ts'
import { hostsOf } from '../registry/hosts.ts'
import { probe } from '../rpc/socket.ts'
import { missingCapabilities } from '../sys/capabilities.ts'
import type { Abortable } from '../task/task.ts'
import { kernelFindings } from './kernel.ts'
import { runtimeFindings } from './runtime.ts'

export type Finding = {
  readonly level: 'ok' | 'warn' | 'fail'
  /** What was looked at: `kernel`, `disk`. */
  readonly about: string
  /** What was found, and what to do about it where it is not well. */
  readonly text: string
}

/** Of the configuration in force. */
export type Settings = {
  readonly rootDir: string
  readonly socket: { readonly path: string }
  readonly runtime: { readonly kind: 'auto' | 'containerd' | 'crio' | 'none'; readonly endpoint?: string }
  readonly registry: { readonly configPath: string }
}

export const ok = (about: string, text: string): Finding => ({ level: 'ok', about, text })
export const warn = (about: string, text: string): Finding => ({ level: 'warn', about, text })
export const bad = (about: string, text: string): Finding => ({ level: 'fail', about, text })

/** Below these a node is near its end: an image does not fit, or the file system has no more names for files. */
const LOW_PERCENT = 10
/** The root directory's file system is written to before an image is; the clock decides whether certificates hold. */
const BUILT = Date.UTC(2026, 0, 1)

/** All findings, in the order a person reads them. */
export async function examine(settings: Settings, options: Abortable): Promise<readonly Finding[]> {
  return [
    ...rightsFindings(),
    ...kernelFindings(existing(settings.rootDir)),
    ...diskFindings(settings.rootDir),
    ...(await socketFindings(settings.socket.path, options)),
    ...(await runtimeFindings(settings, options)),
    ...(await hostsFindings(settings.registry.configPath)),
    ...trustFindings(),
  ]
}

/** The path, or the nearest directory above it that is there. */
function existing(path: string): string {
  return existsSync(path) ? path : existing(dirname(path))
}

function rightsFindings(): readonly Finding[] {
  const missing = missingCapabilities(['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_MKNOD'])
  return missing.length === 0
    ? [ok('rights', 'layers can be unpacked with their owners, modes and devices')]
    : [bad('rights', `this process lacks ${missing.join(', ')}; run it as root, or give the service these capabilities`)]
}

function diskFindings(root: string): readonly Finding[] {
  const at = existing(root)
  try {
    accessSync(at, constants.W_OK | constants.X_OK)
  } catch (error) {
    return [bad('disk', `${at}: ${describe(failureOf(error))}`)]
  }
  return [freeSpace(at), ...privacy(root)]
}

/** Free blocks and inodes of the file system at `path`. */
export function freeSpace(path: string): Finding {
  const { blocks, bavail, bsize, files, ffree } = statfsSync(path)
  const percent = (free: number, all: number): number => (all === 0 ? 100 : Math.floor((100 * free) / all))
  const [space, inodes] = [percent(bavail, blocks), percent(ffree, files)]
  const text = `${path}: ${((bavail * bsize) / 1e9).toFixed(1)} GB (${space} %) and ${inodes} % of the inodes are free`
  return Math.min(space, inodes) < LOW_PERCENT ? warn('disk', `${text}; remove images, or enlarge it`) : ok('disk', text)
}

function privacy(root: string): readonly Finding[] {
  const found = statSync(root, { throwIfNoEntry: false })
  if (found === undefined || (found.mode & 0o077) === 0) return []
  return [warn('disk', `${root} can be entered by other users, and layers hold setuid programs; chmod 0700 ${root}`)]
}

async function socketFindings(path: string, options: Abortable): Promise<readonly Finding[]> {
  const answer = await probe(path, options)
  if (answer.kind !== 'alive')
    return [warn('socket', `no daemon answers on ${path} (${answer.reason}); systemctl start windlass.socket, or windlass serve`)]
  const mode = statSync(path).mode & 0o777
  return (mode & 0o007) === 0
    ? [ok('socket', `a daemon answers on ${path}, mode 0${mode.toString(8)}`)]
    : [warn('socket', `${path} has mode 0${mode.toString(8)}: any user can pull and remove images; set socket.mode to "0660"`)]
}

/** Every host somebody has written a file for. */
async function hostsFindings(configPath: string): Promise<readonly Finding[]> {
  const roots = configPath.split(':').filter((root) => existsSync(root))
  if (roots.length === 0) return [ok('registries', `no hosts.toml files below ${configPath}: registries are asked directly`)]
  const names = roots.flatMap((root) => readdirSync(root).filter((name) => statSync(join(root, name)).isDirectory()))
  const findings = await Promise.all(
    [...new Set(names)].map(async (name) => {
      const registry = name === '_default' ? 'registry.example' : name.replace(/^(.*)_(\d+)_$/, '$1:$2')
      try {
        const hosts = await hostsOf(registry, configPath)
        return ok('registries', `${name}: ${hosts.map((host) => host.name).join(', then ')}`)
      } catch (error) {
        return bad('registries', describe(failureOf(error)))
      }
    }),
  )
  return findings
}

function trustFindings(): readonly Finding[] {
  const count = getCACertificates('system').length
  const clock = Date.now() > BUILT ? [] : [bad('trust', `the clock says ${new Date().toISOString()}; certificates will not hold`)]
  return count === 0
    ? [
        ...clock,
        warn('trust', 'no certificate authorities of the system are found; apt-get install ca-certificates, or mount /etc/ssl'),
      ]
    : [...clock, ok('trust', `${count} certificate authorities of the system`)]
}
