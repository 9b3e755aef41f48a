/** An image whose layers stay while somebody reads them: to put their tars together again, as `windlass save` does. */
import { fail } from '../failure/failure.ts'
import { findImage } from './lookup.ts'
import type { Store } from './store.ts'

/** A layer's tree and its tar-split; `size` is that of the tar. */
export type HeldLayer = { readonly diffId: string; readonly diff: string; readonly tarSplit: string; readonly size: number }

/** `tags`: the one it was asked for by, else all it has. Layers are base first. */
export type HeldImage = {
  readonly id: string
  readonly tags: readonly string[]
  readonly config: Uint8Array
  readonly layers: readonly HeldLayer[]
}

/** Until it is disposed nothing collects the layers. Throws image-unknown, and invalid-argument where a tar cannot be put together again. */
export async function holdImage(
  store: Pick<Store, 'find' | 'layer' | 'lease'>,
  name: string,
): Promise<HeldImage & AsyncDisposable> {
  await using opened = new AsyncDisposableStack()
  const lease = opened.use(store.lease('read'))
  const before = await findImage(store, name)
  if (before !== undefined) await lease.retain(before.image.layerIds)
  // Now that nothing goes any more.
  const found = await findImage(store, name)
  if (found === undefined || found.image.id !== before?.image.id) return fail({ kind: 'image-unknown', names: [name] })
  const { id, layerIds, configBytes, config, tags } = found.image
  const layers: HeldLayer[] = []
  for (const [at, layerId] of layerIds.entries()) {
    const layer = await store.layer(layerId)
    const diffId = config.diffIds[at]
    if (layer === undefined || diffId === undefined) return fail({ kind: 'internal', what: `image ${id} lacks layer ${layerId}` })
    const { diff, tarSplit, facts, unverifiable = 'a runtime unpacked it' } = layer
    if (tarSplit === undefined || facts === undefined) {
      const reason = `the tar of layer ${at + 1} cannot be put together again: ${unverifiable}; remove the image and pull it with windlass`
      return fail({ kind: 'invalid-argument', what: `image ${name}`, reason })
    }
    layers.push({ diffId, diff, tarSplit, size: facts.diffSize })
  }
  const kept = opened.move()
  const named = found.by === 'tag' ? [found.tag] : tags
  return { id, tags: named, config: configBytes, layers, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}
