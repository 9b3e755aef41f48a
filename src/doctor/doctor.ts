/**
 * Looks a node over: whether Windlass can do its work here, and what to change where it cannot. Everything is tried rather than looked
 * up where that leaves nothing behind. Needs no daemon.
 */
import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { getCACertificates } from 'node:tls'
import { describe, failureOf } from '../failure/failure.ts'
import { hostsOf } from '../registry/hosts.ts'
import { probe } from '../rpc/socket.ts'
import { missingCapabilities } from '../sys/capabilities.ts'
import type { Abortable } from '../task/task.ts'
import { bad, type Finding, freeSpace, ok, type Settings, warn } from './finding.ts'
import { kernelFindings } from './kernel.ts'
import { runtimeFindings } from './runtime.ts'

/** The clock decides whether certificates hold: it cannot be earlier than this. */
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
