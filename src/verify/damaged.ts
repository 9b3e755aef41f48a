/** The layers known to be damaged, and the images that stand on them. */
import type { Damage } from '../store/facts.ts'
import type { Store } from '../store/store.ts'

export type DamagedLayer = {
  readonly layerId: string
  readonly diffId: string
  readonly damage: Damage
  readonly imageIds: readonly string[]
}

/** None in a store that knows nothing of damage. */
export async function damagedLayers(store: Pick<Store, 'images' | 'health'>): Promise<readonly DamagedLayer[]> {
  const damaged = store.health?.damaged() ?? []
  if (damaged.length === 0) return []
  const images = await store.images()
  return damaged.flatMap(({ id, diffId, damage }) => {
    const on = images.filter(({ layerIds }) => layerIds.includes(id))
    return damage === undefined ? [] : [{ layerId: id, diffId, damage, imageIds: on.map((image) => image.id) }]
  })
}
