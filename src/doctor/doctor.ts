/**
 * Looks a node over: whether Windlass can do its work here, and what to change where it cannot. Everything is tried rather than looked
 * up where that leaves nothing behind. Needs no daemon; one that answers is who is looked at.
 */
import { describe, failureOf } from '../failure/failure.ts'
import { type PulledFor, placesFor } from '../registry/places.ts'
import type { Abortable } from '../task/task.ts'
import { confinementFindings } from './confinement.ts'
import { diskFindings, existing } from './disk.ts'
import { examined } from './examined.ts'
import { bad, type Finding, ok, type Settings } from './finding.ts'
import { kernelFindings } from './kernel.ts'
import { kubeletFindings } from './kubelet.ts'
import { type KnownDamage, layerFindings } from './layers.ts'
import { registryFindings } from './registries.ts'
import { rightsFindings } from './rights.ts'
import { runtimeFindings } from './runtime.ts'
import { socketFindings } from './socket.ts'
import { trustFindings } from './trust.ts'

/** All findings, in the order a person reads them. */
export async function examine(
  wanted: Settings,
  options: Abortable & { readonly ownRoot?: boolean; readonly damagedIn?: (root: string) => readonly KnownDamage[] },
): Promise<readonly Finding[]> {
  let settings = wanted
  const findings: Finding[] = []
  /** What one part cannot find out must not keep the others from being told. */
  const look = async (about: string, part: () => readonly Finding[] | Promise<readonly Finding[]>): Promise<void> => {
    try {
      findings.push(...(await part()))
    } catch (error) {
      options.signal.throwIfAborted()
      findings.push(bad(about, describe(failureOf(error))))
    }
  }
  const { ownRoot = false } = options
  await look('examined', async () => {
    if (ownRoot) return [ok('examined', `${wanted.rootDir}, for work without a daemon`)]
    const found = await examined(wanted, options)
    settings = found.settings
    return found.findings
  })
  const { rootDir, socket, registry } = settings
  let pulledFor: PulledFor | undefined
  await look('rights', () => rightsFindings())
  await look('kernel', () => kernelFindings(existing(rootDir)))
  await look('confinement', () => confinementFindings(options))
  await look('disk', () => diskFindings(rootDir))
  const { damagedIn } = options
  if (damagedIn !== undefined) await look('layers', () => layerFindings(damagedIn(rootDir)))
  if (!ownRoot) await look('socket', () => socketFindings(socket.path, options))
  await look('runtime', async () => {
    const runtime = await runtimeFindings(settings, options)
    pulledFor = runtime.runtime
    return runtime.findings
  })
  if (!ownRoot) await look('kubelet', () => kubeletFindings(socket.path))
  await look('registries', () => registryFindings(placesFor(registry, pulledFor)))
  await look('trust', () => trustFindings())
  return findings
}
