/** The names of images that were taken away, read before they go and given back once the layers are here again. */
import type { Image__Output } from '../../rpc/generated/containerd/services/images/v1/Image.ts'
import type { StoreLog } from '../common/log.ts'
import type { StoredImage } from '../store.ts'
import type { Catalog } from './catalog.ts'
import type { Daemon } from './daemon.ts'
import type { ContainerdLease } from './leases.ts'
import type { ReceiptFiles } from './receipts.ts'
import type { Snapshots } from './snapshots.ts'
import { type NameRecord, namesOf, type Withdrawal, type Withdrawals } from './withdrawals.ts'

export type GivingBackParts = {
  readonly daemon: Daemon
  readonly catalog: Catalog
  readonly snapshots: Pick<Snapshots, 'exists'>
  readonly receipts: ReceiptFiles
  readonly withdrawals: Withdrawals
  readonly log: StoreLog
}

export class GivingBack {
  readonly #parts: GivingBackParts

  constructor(parts: GivingBackParts) {
    this.#parts = parts
  }

  /** What it takes to give these back. */
  async read(images: readonly StoredImage[]): Promise<readonly Withdrawal[]> {
    const { catalog, receipts } = this.#parts
    const all = await this.#records()
    const read: Withdrawal[] = []
    for (const { id, pulledAt, tags, digests, layerIds, config } of images) {
      const named = await catalog.recordsOf(id)
      const records = named.flatMap(({ name, target }) => {
        const { mediaType, digest, size } = target
        return [{ name, target: { mediaType, digest, size }, labels: all.get(name)?.labels ?? {} }]
      })
      const image = { id, tags, digests, layerIds, platform: config.platform }
      read.push({ image, records, receipts: await receipts.of({ id, pulledAt }), at: new Date() })
    }
    return read
  }

  /** Those whose layers are here have their names again, and are forgotten; gives back the others. Throws runtime, runtime-down, no-space, system. */
  async give(withdrawn: readonly Withdrawal[], lease: ContainerdLease): Promise<readonly Withdrawal[]> {
    const { daemon, withdrawals, log } = this.#parts
    const away: Withdrawal[] = []
    for (const each of withdrawn) {
      let isBack = false
      await daemon.undo(async () => {
        isBack = await this.#giveOne(each, lease)
      })
      if (isBack) continue
      away.push(each)
      const { image } = each
      log.warn({ image: image.id, names: namesOf(image) }, 'this image was removed for a repair and has not come again')
    }
    const isAway = new Set(away.map(({ image }) => image.id))
    await withdrawals.remove(withdrawn.flatMap(({ image }) => (isAway.has(image.id) ? [] : [image.id])))
    return away
  }

  /** False where it is not here. */
  async #giveOne({ image, records, receipts: before }: Withdrawal, lease: ContainerdLease): Promise<boolean> {
    const { snapshots, catalog, receipts } = this.#parts
    const top = image.layerIds.at(-1)
    if (top !== undefined && !(await snapshots.exists(top))) return false
    const now = await this.#records()
    // A document that was collected meanwhile comes with the next pull by that name.
    for (const record of records)
      if ((await catalog.idOf(record.target)) === image.id) await this.#putBack(record, now.get(record.name), lease)
    const back = await catalog.find(image.id)
    if (back !== undefined) receipts.carry(back, before)
    return back !== undefined
  }

  async #records(): Promise<ReadonlyMap<string, Image__Output>> {
    const { images } = await this.#parts.daemon.call('list images', (c, options) => c.images.list({}, options))
    return new Map(images.map((record) => [record.name, record]))
  }

  /** What has come again meanwhile stays where it leads; where that is the same, it gets the labels it had. */
  async #putBack({ name, target, labels }: NameRecord, now: Image__Output | undefined, lease: ContainerdLease): Promise<void> {
    const { daemon } = this.#parts
    const image = { name, target, labels }
    const paths = Object.keys(labels).map((label) => `labels.${label}`)
    if (now === undefined)
      await daemon.callUnless('ALREADY_EXISTS', 'create an image', (c, options) => c.images.create({ image }, options), lease.id)
    else if (now.target?.digest === target.digest && paths.length > 0)
      await daemon.callUnless('NOT_FOUND', 'update an image', ({ images }, options) =>
        images.update({ image, updateMask: { paths } }, options),
      )
  }
}
