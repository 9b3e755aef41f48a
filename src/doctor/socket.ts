/** The daemon behind our socket, as kubelet would meet it. */
import { type Stats, statSync } from 'node:fs'
import { describe, failureOf } from '../failure/failure.ts'
import { connect } from '../rpc/client.ts'
import type { InfoResponse__Output } from '../rpc/generated/windlass/v1/InfoResponse.ts'
import { probe } from '../rpc/socket.ts'
import { RpcError } from '../rpc/status.ts'
import type { Abortable } from '../task/task.ts'
import { bad, type Finding, ok, warn } from './finding.ts'

/** crictl gives it as long. */
const PATIENCE_MS = 2_000

export async function socketFindings(path: string, options: Abortable): Promise<readonly Finding[]> {
  const found = statOf(path)
  // connect(2) says of a file that it refuses.
  if (found?.isSocket() === false) return [bad('socket', `${path} is not a socket; remove it, or choose another socket.path`)]
  const answer = await probe(path, options)
  if (found === undefined || answer.kind !== 'alive') {
    if (answer.kind === 'denied') return [bad('socket', describe({ kind: 'socket-denied', socket: path }))]
    const reason = 'reason' in answer ? answer.reason : 'it came this moment'
    return [warn('socket', `no daemon answers on ${path} (${reason}); systemctl start windlass.socket, or windlass serve`)]
  }
  return [...modeFindings(path, found.mode & 0o777), ...(await daemonFindings(path, options))]
}

/** What lies in a directory that may not be entered is for the connection to say. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    const failure = failureOf(error)
    if (failure.kind === 'system' && failure.code === 'EACCES') return undefined
    throw error
  }
}

function modeFindings(path: string, mode: number): readonly Finding[] {
  if ((mode & 0o007) === 0) return []
  return [
    warn(
      'socket',
      `${path} has mode 0${mode.toString(8)}: any user can pull and remove images; say 0660 in SocketMode= of windlass.socket, or in socket.mode`,
    ),
  ]
}

async function daemonFindings(path: string, { signal }: Abortable): Promise<readonly Finding[]> {
  using daemon = await connect(path, { signal })
  const options = { signal, deadline: new Date(Date.now() + PATIENCE_MS) }
  try {
    const info = await daemon.windlass.info({}, options)
    await daemon.image.imageFsInfo({}, options)
    return [ok('socket', `windlass ${info.version} answers on ${path} (pid ${info.pid})`), ...ownPulls(info)]
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    const reason =
      error.code === 'UNIMPLEMENTED'
        ? 'another program answers there; choose another socket.path'
        : `what kubelet asks first is not answered (${error.code}: ${error.message}), and kubelet would not start; see journalctl -u windlass`
    return [bad('socket', `${path}: ${reason}`)]
  }
}

/** Whether pulls are the daemon's own just now. */
export function ownPulls({ passthrough, runtime }: Pick<InfoResponse__Output, 'passthrough' | 'runtime'>): readonly Finding[] {
  if (runtime !== null && runtime.down !== '') return [bad('socket', `nothing can be pulled: ${runtime.down}`)]
  if (passthrough?.on) return [warn('socket', `every call goes to the runtime: ${passthrough.reason}; windlass passthrough off`)]
  if (runtime !== null && runtime.missing !== '') return [warn('socket', `pulls go to the runtime for now: ${runtime.missing}`)]
  return []
}
