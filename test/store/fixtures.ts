/** Layers and images made by hand, for whatever store is under test. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type DiffId, type Digest, parseDiffId, sha256 } from '../../src/oci/digest.ts'
import { type ImageConfig, mediaTypes } from '../../src/oci/oci.ts'
import type { UnpackedFacts } from '../../src/store/facts.ts'
import type { NewImage, Store, StoredLayer } from '../../src/store/store.ts'

/** A layer to be: a name that its diffID comes from, what writes its tree, the directories it implies, and the blob it came as. */
export type LayerSpec = {
  readonly name: string
  readonly write?: (diff: string) => void
  readonly implied?: readonly string[]
  readonly blob?: NonNullable<UnpackedFacts['blob']>
  /** What is done to the staged directory when all is in it. */
  readonly tamper?: (staged: string) => void
}

/** Not the same in tests that run at once: by its id alone a layer is seen to be mounted, whosever it is. */
const worker = process.env.VITEST_POOL_ID ?? ''

export const diffIdOf = (name: string): DiffId => parseDiffId(sha256(`tar of ${name} by ${worker}`))

/** Stages and commits one layer above `parent`; without `write` it holds one file named after the layer. */
export async function commitLayer(store: Store, spec: LayerSpec, parent?: StoredLayer): Promise<StoredLayer> {
  await using staged = await store.stage(diffIdOf(spec.name))
  const diff = join(staged.dir, 'diff')
  mkdirSync(diff, { mode: 0o755 })
  const write = spec.write ?? ((dir: string) => writeFileSync(join(dir, spec.name), `content of ${spec.name}`))
  write(diff)
  writeFileSync(join(staged.dir, 'tar-split.gz'), `tar-split of ${spec.name}`)
  if (spec.implied !== undefined) writeFileSync(join(staged.dir, 'implied'), `${spec.implied.join('\0')}\0`, 'latin1')
  spec.tamper?.(staged.dir)
  const facts = { diffSize: 1000, entries: 1, whiteouts: 0 }
  return await store.commit(staged, spec.blob === undefined ? facts : { ...facts, blob: spec.blob }, parent)
}

/** Commits a chain, base first; the last one is the top. */
export async function commitChain(store: Store, specs: readonly LayerSpec[]): Promise<StoredLayer[]> {
  const chain: StoredLayer[] = []
  for (const spec of specs) chain.push(await commitLayer(store, spec, chain.at(-1)))
  return chain
}

/** An image over layers of these names. `label` makes its config, and so its id, its own. */
export function imageOver(layerNames: readonly string[], { tag, label = '' }: { tag?: string; label?: string }): NewImage {
  const diffIds = layerNames.map(diffIdOf)
  const config: ImageConfig = {
    platform: { os: 'linux', architecture: 'amd64' },
    run: { env: ['A=1'], exposedPorts: [], entrypoint: [], cmd: ['sh'], volumes: [], labels: { label } },
    diffIds,
  }
  const { os, architecture } = config.platform
  const { env: Env, cmd: Cmd, labels: Labels } = config.run
  const rootfs = { type: 'layers', diff_ids: diffIds }
  const configBytes = Buffer.from(JSON.stringify({ os, architecture, config: { Env, Cmd, Labels }, rootfs }))
  const layers = layerNames.map((name) => ({
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    digest: sha256(`blob of ${name}`),
    size: 100,
  }))
  const mediaType = mediaTypes.ociManifest
  const ofConfig = { mediaType: mediaTypes.ociConfig, digest: sha256(configBytes), size: configBytes.length }
  const manifestBytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config: ofConfig, layers }))
  const repository = tag === undefined ? 'registry.test/by-digest' : tag.slice(0, tag.lastIndexOf(':'))
  return {
    id: sha256(configBytes),
    manifest: { mediaType, digest: sha256(manifestBytes), size: manifestBytes.length },
    config,
    configBytes,
    manifestBytes,
    layers,
    ...(tag === undefined ? {} : { tag }),
    digest: `${repository}@${sha256(manifestBytes)}`,
  }
}

/** Commits what the image needs and publishes it, all under one lease. */
export async function pullByHand(
  store: Store,
  layerNames: readonly string[],
  names: { tag?: string; label?: string },
): Promise<Digest> {
  const image = imageOver(layerNames, names)
  await using lease = store.lease()
  await lease.retain(store.layerIds(image.config.diffIds))
  await commitChain(
    store,
    layerNames.map((name) => ({ name })),
  )
  const { image: published } = await store.publish(image, { signal: new AbortController().signal })
  return published.id
}
