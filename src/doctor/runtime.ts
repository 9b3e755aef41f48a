/** The runtime that starts containers on this node. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parse } from 'smol-toml'
import { z } from 'zod'
import { describe, failureOf } from '../failure/failure.ts'
import type { PulledFor } from '../registry/places.ts'
import { type Connection, connect } from '../rpc/client.ts'
import { RpcError } from '../rpc/status.ts'
import { findRuntime } from '../runtime/find.ts'
import { inspectRuntime } from '../runtime/inspect.ts'
import type { RuntimeAddress, RuntimeFacts, RuntimeKind } from '../runtime/runtime.ts'
import { readRegular } from '../sys/regular.ts'
import type { Abortable } from '../task/task.ts'
import { sameMount } from './disk.ts'
import { bad, type Finding, freeSpace, ok, type Settings, warn } from './finding.ts'

const PATIENCE_MS = 5_000
/** Of a storage.conf. */
const MAX_BYTES = 2 ** 20
const IDS = { containerd: 'sha256: and the digest of the config', crio: 'the bare digest of the config' } as const
const ID_FORMS = { containerd: /^sha256:[0-9a-f]{64}$/, crio: /^[0-9a-f]{64}$/ } as const

/** `runtime` where there is one: registries are described by its files, as far as it says so. */
export type RuntimeFindings = { readonly findings: readonly Finding[]; readonly runtime?: PulledFor }

export async function runtimeFindings({ runtime, socket, rootDir }: Settings, { signal }: Abortable): Promise<RuntimeFindings> {
  const address = await findRuntime(runtime, { signal, own: socket.path })
  if (address === undefined) {
    const text = 'none is meant: images stay in the store of Windlass, which podman can read and windlass bundle can use'
    return { findings: [ok('runtime', text)] }
  }
  const store = address.kind === 'crio' ? storageConfFindings(rootDir) : []
  try {
    using cri = await connect(address.socket, { signal, runtime: address.kind })
    const options = { signal, deadline: new Date(Date.now() + PATIENCE_MS) }
    const facts = await inspectRuntime(address, cri, options)
    const findings = [...factFindings(address, facts), ...store, ...(await imageFindings(address.kind, cri, options))]
    return { findings, runtime: { address, facts } }
  } catch (error) {
    signal.throwIfAborted()
    const { kind, socket: at } = address
    const text =
      error instanceof RpcError
        ? describe({ kind: 'runtime-down', runtime: kind, socket: at, reason: `${error.code}: ${error.message}` })
        : describe(failureOf(error))
    return { findings: [bad('runtime', text), ...store], runtime: { address, facts: {} } }
  }
}

export function factFindings({ kind, socket }: RuntimeAddress, facts: RuntimeFacts): readonly Finding[] {
  const { name, version, obstacles, otherSnapshotters, sandboxImage } = facts
  return [
    ok('runtime', `${name} ${version} answers on ${socket}; image ids are ${IDS[kind]}`),
    ...obstacles.map((text) => warn('runtime', `every pull is left to ${name}: ${text}`)),
    ...[...otherSnapshotters].map(([handler, snapshotter]) =>
      warn('runtime', `pulls for the runtime handler ${handler} are left to ${name}: it uses the snapshotter ${snapshotter}`),
    ),
    ...sandboxFindings(kind, version, sandboxImage),
  ]
}

/** kubelet collects what its runtime does not call pinned: CRI's Image has the field since 1.23, containerd fills it in since 1.7. */
function sandboxFindings(kind: RuntimeKind, version: string, sandboxImage: string | undefined): readonly Finding[] {
  if (kind === 'containerd' && isOlderThan(version, 1, 7)) {
    const image = sandboxImage ?? 'the image of its sandboxes'
    return [
      warn(
        'runtime',
        `containerd ${version} does not tell kubelet which images are pinned, so kubelet may collect them, ${image} among them; give kubelet --pod-infra-container-image=${sandboxImage ?? 'IMAGE'}, which it then leaves, or bring containerd to 1.7`,
      ),
    ]
  }
  return sandboxImage === undefined
    ? [warn('runtime', 'it does not say which image its sandboxes use; see that kubelet does not collect it')]
    : [ok('runtime', `the sandbox image ${sandboxImage} is pinned when it is pulled`)]
}

/** A version that cannot be read is not judged. */
function isOlderThan(version: string, major: number, minor: number): boolean {
  const [, ownMajor, ownMinor] = /^v?(\d+)\.(\d+)/.exec(version) ?? []
  if (ownMajor === undefined) return false
  return Number(ownMajor) < major || (Number(ownMajor) === major && Number(ownMinor) < minor)
}

/** The images it has, and where: kubelet compares their ids with ours, and its collection goes by the free space there. */
async function imageFindings(
  kind: RuntimeKind,
  { image }: Pick<Connection, 'image'>,
  options: Abortable & { readonly deadline: Date },
): Promise<readonly Finding[]> {
  const { images } = await image.listImages({}, options)
  const { imageFilesystems } = await image.imageFsInfo({}, options)
  const mountpoint = imageFilesystems[0]?.fsId?.mountpoint ?? ''
  return [
    ...idFindings(
      kind,
      images.map(({ id }) => id),
    ),
    ...placeFindings(kind, mountpoint),
  ]
}

export function idFindings(kind: RuntimeKind, ids: readonly string[]): readonly Finding[] {
  const odd = ids.find((id) => !ID_FORMS[kind].test(id))
  if (odd === undefined) return []
  return [bad('runtime', `it calls an image ${odd}, not by ${IDS[kind]}: kubelet would collect images in use; set runtime.kind`)]
}

export function placeFindings(kind: RuntimeKind, mountpoint: string): readonly Finding[] {
  if (!existsSync(mountpoint)) {
    const where = mountpoint === '' ? 'a directory it does not name' : mountpoint
    return [bad('runtime', `its images are in ${where}, which is not visible here; mount it at the same path`)]
  }
  return [freeSpace(mountpoint), ...(kind === 'containerd' ? sameMount([mountpoint, join(mountpoint, 'snapshots')]) : [])]
}

/** Those containers/storage reads, the administrator's before the distribution's: containers-storage.conf(5). */
const STORAGE_CONF = ['/etc/containers/storage.conf', '/usr/share/containers/storage.conf']
const storageConf = z.object({
  storage: z.object({ options: z.object({ additionalimagestores: z.array(z.string()).default([]) }).prefault({}) }).prefault({}),
})

/** CRI-O reads our store only where its configuration names it. */
export function storageConfFindings(rootDir: string, files: readonly string[] = STORAGE_CONF): readonly Finding[] {
  const file = files.find((each) => existsSync(each))
  const advice = `add additionalimagestores = [${JSON.stringify(rootDir)}] below [storage.options] in ${files[0]}, and restart CRI-O once`
  if (file === undefined) return [bad('runtime', `there is no storage.conf: ${advice}`)]
  const read = readRegular(file, MAX_BYTES)
  if (read.kind !== 'read')
    return [bad('runtime', `${file} says nothing: ${read.kind === 'absent' ? 'it has just gone' : read.reason}`)]
  try {
    const { additionalimagestores: stores } = storageConf.parse(parse(read.bytes.toString())).storage.options
    return stores.some((store) => resolve(store) === resolve(rootDir))
      ? [ok('runtime', `${file} names ${rootDir} as an additional image store`)]
      : [bad('runtime', `${file} does not name ${rootDir}, so CRI-O cannot start what is pulled: ${advice}`)]
  } catch (error) {
    return [
      bad(
        'runtime',
        `${file} cannot be read: ${error instanceof z.ZodError ? z.prettifyError(error) : describe(failureOf(error))}`,
      ),
    ]
  }
}
