/** Whether a registry would give again what is here, asked before it is taken away. */
import { fail } from '../failure/failure.ts'
import type { Descriptor } from '../oci/oci.ts'
import { parseManifestOrIndex } from '../oci/parse.ts'
import type { Repository } from '../registry/registry.ts'
import { Limiter } from '../task/limiter.ts'
import type { Abortable } from '../task/task.ts'
import { makePlan } from './plan.ts'
import type { PullRequest } from './pull.ts'
import type { Crew } from './run.ts'

/** Blobs that are asked for at the same time. */
const AT_ONCE = 4

type Checking = Abortable & { readonly from: number }

/** As `Puller.check`. */
export async function checkPull(crew: Crew, request: PullRequest, { signal, from }: Checking): Promise<void> {
  const { registry, store, recheckAccess } = crew
  const remote = registry.connect(request.reference, request.credentials)
  const platform = request.platform ?? crew.platform
  const { plan } = await makePlan({ reference: request.reference, platform, remote, store, recheckAccess }, { signal })
  const failed = new AbortController()
  const either = { signal: AbortSignal.any([signal, failed.signal]) }
  const limiter = new Limiter(AT_ONCE)
  const ask = async (blob: Descriptor): Promise<void> => {
    try {
      using _permit = await limiter.acquire(either)
      await askFor(remote, blob, either)
    } catch (error) {
      failed.abort(error)
      throw error
    }
  }
  // Manifest and config are here; they, too, have to come again.
  const { bytes, host } = await remote.manifest(plan.manifest, { signal })
  const manifest = parseManifestOrIndex(bytes, plan.manifest, host)
  if (manifest.kind !== 'manifest') fail({ kind: 'internal', what: `${plan.manifest.digest} is an index` })
  const blobs = [manifest.config, ...manifest.layers.slice(from)]
  const distinct = [...new Map(blobs.map((blob) => [blob.digest, blob])).values()]
  await Promise.allSettled(distinct.map(ask))
  if (failed.signal.aborted) throw signal.aborted ? signal.reason : failed.signal.reason
}

/**
 * A GET that ends with its first bytes: what a HEAD says need not be so, for where blobs lie elsewhere, signed addresses are good for one
 * method. Throws as `Repository.fetch`.
 */
async function askFor(remote: Repository, blob: Descriptor, { signal }: Abortable): Promise<void> {
  const enough = new AbortController()
  let hasBegun = false
  const write = (): undefined => {
    hasBegun = true
    enough.abort(new Error('the first bytes say that it is there'))
    return undefined
  }
  try {
    await remote.fetch(blob, { write }, { signal: AbortSignal.any([signal, enough.signal]) })
  } catch (error) {
    if (!hasBegun) throw error
  }
}
