/** Whether what lists declare can be had, looked at without a node: each image for each platform, with which login, and how much that is. */
import { describe, failureOf } from '../failure/failure.ts'
import { errorAbout } from '../failure/of-reference.ts'
import type { Digest } from '../oci/digest.ts'
import { layerIds } from '../oci/digest.ts'
import type { Descriptor, Platform } from '../oci/oci.ts'
import { formatPlatform } from '../platform/platform.ts'
import { makePlan, type PlanContext } from '../pull/plan.ts'
import type { Credentials, Registry, Repository } from '../registry/registry.ts'
import { Limiter } from '../task/limiter.ts'
import type { Abortable } from '../task/task.ts'
import { withLogins } from './logins.ts'
import type { DeclaredImage, ImageList, Means } from './prepull.ts'

/** One image of one list on one platform. */
export type CheckedImage = {
  readonly list: string
  readonly name: string
  readonly platform: string
  readonly result: CheckResult
}

export type CheckResult =
  /** `login`: the user, or what kind of login; absent where nobody logged in with what was brought. */
  | {
      readonly kind: 'good'
      readonly imageId: Digest
      readonly manifest: Digest
      readonly from: string
      readonly login?: string
      readonly layers: readonly Descriptor[]
    }
  | { readonly kind: 'bad'; readonly failure: string; readonly reason: string }

export type CheckParts = {
  readonly registry: Registry
  readonly means: Means
  readonly platforms: readonly Platform[]
}

/** What one platform's images are together: blobs that several of them have count once. */
export type Total = { readonly platform: string; readonly images: number; readonly bytes: number }

/** Images that are looked at at the same time. */
const AT_ONCE = 4

/** Nothing is here. */
const nowhere: PlanContext['store'] = {
  find: async () => undefined,
  layer: async () => undefined,
  layerByDiffId: async () => undefined,
  layerIds,
}

/** `images` in the order they are declared. */
export type Checked = { readonly images: readonly CheckedImage[]; readonly totals: readonly Total[] }

export async function checkLists(lists: readonly ImageList[], parts: CheckParts, options: Abortable): Promise<Checked> {
  const limiter = new Limiter(AT_ONCE)
  const declared = lists.flatMap((list) => list.images.map((image) => ({ list, image })))
  const checked = await Promise.all(
    declared.map(async ({ list, image }) => {
      using _permit = await limiter.acquire(options)
      const results: CheckedImage[] = []
      for (const platform of parts.platforms) {
        const result = await check(list, image, platform, parts, options)
        results.push({ list: list.name, name: image.name, platform: formatPlatform(platform), result })
      }
      return results
    }),
  )
  const images = checked.flat()
  return { images, totals: parts.platforms.map((platform) => totalOf(images, formatPlatform(platform))) }
}

function totalOf(checked: readonly CheckedImage[], platform: string): Total {
  const good = checked.flatMap((each) => (each.platform === platform && each.result.kind === 'good' ? [each.result] : []))
  const blobs = new Map(good.flatMap(({ layers }) => layers.map(({ digest, size }) => [digest, size] as const)))
  return { platform, images: good.length, bytes: [...blobs.values()].reduce((sum, size) => sum + size, 0) }
}

async function check(
  list: ImageList,
  image: DeclaredImage,
  platform: Platform,
  { registry, means }: CheckParts,
  options: Abortable,
): Promise<CheckResult> {
  const look = async (remote: Repository, login: { readonly login?: string }): Promise<CheckResult> => {
    const context = { reference: image.reference, platform, asked: true, remote, store: nowhere }
    const { plan, host } = await makePlan(context, options)
    const { imageId, manifest, layers } = plan
    return { kind: 'good', imageId, manifest: manifest.digest, from: host, ...login, layers: layers.map(({ blob }) => blob) }
  }
  try {
    if (image.archive === undefined)
      return await withLogins(await means.loginsFor(list, image, options), (credentials) =>
        look(registry.connect(image.reference, credentials), loginOf(credentials)),
      )
    await using opened = await means.openArchive(image.archive, image, options)
    return await look(opened.repository, {})
  } catch (error) {
    options.signal.throwIfAborted()
    const { failure } = errorAbout(image.name, error)
    return { kind: 'bad', failure: failureOf(error).kind, reason: describe(failure) }
  }
}

const loginOf = (credentials: Credentials): { readonly login?: string } =>
  credentials.kind === 'anonymous' ? {} : { login: credentials.kind === 'basic' ? credentials.username : credentials.kind }
