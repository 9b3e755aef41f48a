/** What is looked at: the node as the daemon there uses it, else as one would that reads the configuration at hand. */
import { connect } from '../rpc/client.ts'
import type { InfoResponse__Output } from '../rpc/generated/windlass/v1/InfoResponse.ts'
import { probe } from '../rpc/socket.ts'
import { RpcError } from '../rpc/status.ts'
import type { Abortable } from '../task/task.ts'
import { type Finding, ok, type Settings, warn } from './finding.ts'

const PATIENCE_MS = 2_000

/** The settings to go by, and what was found of where they come from. */
export type Examined = { readonly settings: Settings; readonly findings: readonly Finding[] }

/** A daemon that answers knows better than any file which root and which runtime it has. Throws what `signal` aborts with. */
export async function examined(settings: Settings, options: Abortable): Promise<Examined> {
  const info = await daemonAt(settings.socket.path, options)
  const from = settings.file ?? 'the defaults, WINDLASS_* variables and flags, no configuration file'
  if (info === undefined) return { settings, findings: [ok('examined', `what a daemon would use that reads ${from}`)] }
  const { rootDir, runtime } = settings
  const inUse = info.runtime
  const actual: Settings = {
    ...settings,
    rootDir: info.root,
    runtime: inUse === null ? { kind: 'none' } : { kind: inUse.kind === 'crio' ? 'crio' : 'containerd', endpoint: inUse.socket },
  }
  const beside = inUse === null ? 'beside no runtime' : `beside ${inUse.kind} at ${inUse.socket}`
  const differences = [
    ...(info.root === rootDir ? [] : [`rootDir ${rootDir}`]),
    ...(runtime.kind === 'auto' || runtime.kind === actual.runtime.kind ? [] : [`runtime.kind ${runtime.kind}`]),
    ...(runtime.endpoint === undefined || runtime.endpoint === inUse?.socket ? [] : [`runtime.endpoint ${runtime.endpoint}`]),
  ]
  return {
    settings: actual,
    findings: [
      ok('examined', `the daemon on ${settings.socket.path} (pid ${info.pid}), root ${info.root}, ${beside}`),
      ...(differences.length === 0
        ? []
        : [
            warn(
              'examined',
              `the daemon does not go by ${differences.join(' and ')} of ${from}: ${settings.file === undefined ? 'say --config with its file' : 'restart it to take that over, or say --config with its own file'}`,
            ),
          ]),
    ],
  }
}

async function daemonAt(path: string, { signal }: Abortable): Promise<InfoResponse__Output | undefined> {
  if ((await probe(path, { signal })).kind !== 'alive') return undefined
  try {
    using daemon = await connect(path, { signal })
    return await daemon.windlass.info({}, { signal, deadline: new Date(Date.now() + PATIENCE_MS) })
  } catch (error) {
    signal.throwIfAborted()
    // Somebody else's socket, or one that is lost: the part on the socket says so.
    if (error instanceof RpcError) return undefined
    throw error
  }
}
