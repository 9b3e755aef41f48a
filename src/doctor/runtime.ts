/** The runtime that starts containers on this node, and what kubelet has been told. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, failureOf } from '../failure/failure.ts'
import { connect } from '../rpc/client.ts'
import { RpcError } from '../rpc/status.ts'
import { findRuntime } from '../runtime/find.ts'
import { inspectRuntime } from '../runtime/inspect.ts'
import type { RuntimeAddress } from '../runtime/runtime.ts'
import type { Abortable } from '../task/task.ts'
import { bad, type Finding, freeSpace, ok, type Settings, warn } from './finding.ts'

const PATIENCE_MS = 5_000
const KUBELET_CONFIG = '/var/lib/kubelet/config.yaml'

export async function runtimeFindings(
  { runtime, socket }: Pick<Settings, 'runtime' | 'socket'>,
  { signal }: Abortable,
): Promise<readonly Finding[]> {
  const address = await findRuntime(runtime, { signal, own: socket.path })
  const kubelet = kubeletFinding()
  if (address === undefined) {
    const text = 'none is meant: images stay in the store of Windlass, which podman can read and windlass bundle can use'
    return [ok('runtime', text), ...kubelet]
  }
  return [...(await asked(address, { signal })), ...kubelet]
}

async function asked(address: RuntimeAddress, { signal }: Abortable): Promise<readonly Finding[]> {
  const { kind, socket } = address
  try {
    using cri = await connect(socket, { signal })
    const options = { signal, deadline: new Date(Date.now() + PATIENCE_MS) }
    const facts = await inspectRuntime(address, cri, options)
    const { imageFilesystems } = await cri.image.imageFsInfo({}, options)
    const mountpoint = imageFilesystems[0]?.fsId?.mountpoint ?? ''
    const ids = kind === 'containerd' ? 'sha256: and the digest of the config' : 'the bare digest of the config'
    return [
      ok('runtime', `${facts.name} ${facts.version} answers on ${socket}; image ids are ${ids}`),
      ...facts.obstacles.map((text) => warn('runtime', `every pull is left to ${facts.name}: ${text}`)),
      ...[...facts.otherSnapshotters].map(([handler, snapshotter]) =>
        warn(
          'runtime',
          `pulls for the runtime handler ${handler} are left to ${facts.name}: it uses the snapshotter ${snapshotter}`,
        ),
      ),
      facts.sandboxImage === undefined
        ? warn('runtime', 'it does not say which image its sandboxes use; see that kubelet does not collect it')
        : ok('runtime', `the sandbox image ${facts.sandboxImage} is pinned when it is pulled`),
      ...(existsSync(mountpoint)
        ? [freeSpace(mountpoint)]
        : [
            bad(
              'runtime',
              `its images are in ${mountpoint || 'a directory it does not name'}, which is not visible here; mount it at the same path`,
            ),
          ]),
      ...(kind === 'crio' ? [storageConfFinding()] : []),
    ]
  } catch (error) {
    const reason = error instanceof RpcError ? error.message : describe(failureOf(error))
    return [bad('runtime', `${kind} at ${socket} cannot be asked: ${reason}; start it, or set runtime.endpoint`)]
  }
}

/** CRI-O reads our store only where its configuration names it. */
function storageConfFinding(): Finding {
  const files = ['/etc/containers/storage.conf', '/usr/share/containers/storage.conf'].filter(existsSync)
  const named = files.some((file) => /^\s*additionalimagestores\s*=/m.test(readFileSync(file, 'utf8')))
  return named
    ? ok('runtime', 'storage.conf names additional image stores')
    : bad('runtime', 'storage.conf names no additionalimagestores: add the root of Windlass there, and restart CRI-O once')
}

/** What kubelet was started with, as far as this machine shows it. */
function kubeletFinding(): readonly Finding[] {
  const said = kubeletArguments()
  const file = existsSync(KUBELET_CONFIG) ? readFileSync(KUBELET_CONFIG, 'utf8') : ''
  const endpoint =
    /--image-service-endpoint[=\s]+(\S+)/.exec(said ?? '')?.[1] ?? /^imageServiceEndpoint:\s*(\S+)/m.exec(file)?.[1]
  if (said === undefined && file === '') return []
  return endpoint === undefined
    ? [warn('kubelet', 'it has no image service endpoint of its own, so it pulls through its runtime; see deploy/kubelet')]
    : [ok('kubelet', `its images come from ${endpoint}`)]
}

function kubeletArguments(): string | undefined {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      if (/(?:^|\/)kubelet$/.test(words[0] ?? '')) return words.join(' ')
    } catch {
      // It has ended meanwhile.
    }
  }
  return undefined
}
