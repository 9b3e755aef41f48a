/** What every step of the demo works with. */

import type { Platform } from '../src/oci/oci.ts'
import type { Connection } from '../src/rpc/client.ts'
import type { TestRegistry } from '../test/registry/embedded-registry.ts'
import type { BuiltImage, BuiltIndex } from '../test/support/image.ts'
import type { makeVictim } from '../test/support/victim.ts'
import type { Places } from './daemon.ts'
import type { Fixture } from './fixture.ts'
import type { Show } from './show.ts'

export type Stage = {
  readonly show: Show
  readonly signal: AbortSignal
  /** The temporary directory everything lies in. */
  readonly dir: string
  readonly places: Places
  /** This node's. */
  readonly platform: Platform
  readonly registry: TestRegistry
  readonly fixture: Fixture
  readonly victim: ReturnType<typeof makeVictim>
  readonly daemon: Connection
}

/** The repository and tags the images are published under. */
export const REPOSITORY = 'demo/hello'
export const nameOf = ({ registry }: Pick<Stage, 'registry'>, tag: string, repository = REPOSITORY): string =>
  `${registry.host}/${repository}:${tag}`

/** What the demo claims is checked; a claim that fails ends it. */
export function expect(claim: boolean, what: string): asserts claim {
  if (!claim) throw new Error(`not as it should be: ${what}`)
}

/** The image of an index for this node. */
export function imageFor({ platform }: Pick<Stage, 'platform'>, index: BuiltIndex): BuiltImage {
  const image = index.images.find(({ descriptor }) => descriptor.platform?.architecture === platform.architecture)
  expect(image !== undefined, `there is an image for ${platform.architecture}`)
  return image
}

/** Requests for bytes of any layer so far: what "0 layer bytes" is proved by. */
export function layerGets({ registry, fixture }: Pick<Stage, 'registry' | 'fixture'>): number {
  const layers = [fixture.hello, fixture.updated].flatMap(({ images }) => images.flatMap((image) => image.layers))
  return [...new Set(layers.map(({ descriptor }) => descriptor.digest))].reduce(
    (sum, digest) => sum + registry.blobGets(digest),
    0,
  )
}
