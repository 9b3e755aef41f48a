/** Images of layers made on the spot, pulled into the real store and mounted as a runtime would: rows that need more than one layer. */
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mountOverlay, unmount } from '../../../src/sys/mount.ts'
import { openLab, type Lab as PullLab } from '../../pull/lab.ts'
import { type BuiltImage, buildImage } from '../../support/image.ts'
import type { TarPart } from '../../support/tar.ts'
import { makeVictim } from '../../support/victim.ts'

export interface Node extends AsyncDisposable {
  readonly lab: PullLab
  /** Pulls an image of these layers, base first; gives the merged tree. */
  merged(layers: readonly (readonly TarPart[])[]): Promise<Disposable & { readonly path: string }>
  /** True while what lies beside the root was not touched. */
  victimUnchanged(): boolean
  pulled(image: BuiltImage): Promise<Disposable & { readonly path: string }>
}

export const imageOf = (layers: readonly (readonly TarPart[])[]): BuiltImage =>
  buildImage({ layers: layers.map((parts) => ({ tar: parts })) })

export async function openNode(): Promise<Node> {
  const lab = await openLab()
  const victim = makeVictim(join(lab.root, '..', 'victim'))
  let count = 0
  const pulled: Node['pulled'] = async (image) => {
    const { id } = await lab.pull(lab.publish(`corpus:${count++}`, image))
    const ids = (await lab.store.find(id))?.layerIds ?? []
    const layers = await Promise.all(ids.map((layer) => lab.store.layer(layer)))
    const lower = layers.map((layer) => layer?.short ?? '').toReversed()
    const path = mkdtempSync(join(tmpdir(), 'windlass-merged-'))
    mountOverlay({ target: path, base: lab.store.overlayDir, lower })
    return {
      path,
      [Symbol.dispose]: () => {
        unmount(path)
        rmdirSync(path)
      },
    }
  }
  return {
    lab,
    pulled,
    victimUnchanged: () => victim.unchanged(),
    merged: (layers) => pulled(imageOf(layers)),
    [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose](),
  }
}
