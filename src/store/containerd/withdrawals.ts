/**
 * The images that a repair has taken out of containerd and that have not come again: one small file in our root, on disk before the first
 * of their names goes. Whatever ends the repair, the next start knows what is missing, by which digests it came, and who had pulled it.
 */
import { open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { asWindlassError, failureOf } from '../../failure/failure.ts'
import type { Digest } from '../../oci/digest.ts'
import { Limiter } from '../../task/limiter.ts'
import type { StoreLog } from '../common/log.ts'
import { receiptsJson, receiptsSchema } from '../common/receipts-text.ts'
import { WITHDRAWN } from '../common/root.ts'
import { digest, layerId, platform } from '../common/schemas.ts'
import type { Receipts } from '../receipts.ts'
import type { WithdrawnImage } from '../store.ts'

/** A name in containerd, as it was. */
export type NameRecord = {
  readonly name: string
  readonly target: { readonly mediaType: string; readonly digest: Digest; readonly size: number }
  readonly labels: Readonly<Record<string, string>>
}

export type Withdrawal = {
  readonly image: WithdrawnImage
  readonly records: readonly NameRecord[]
  readonly receipts: Receipts
  readonly at: Date
}

/** Who has not missed an image for so long does not want it back. */
const LIFETIME_MS = 7 * 24 * 3_600_000

const names = z.array(z.string())
const withdrawal = z.object({
  image: z.object({ id: digest, tags: names, digests: names, layerIds: z.array(layerId), platform }),
  records: z.array(
    z.object({
      name: z.string(),
      target: z.object({ mediaType: z.string(), digest, size: z.int().nonnegative() }),
      labels: z.record(z.string(), z.string()),
    }),
  ),
  receipts: receiptsSchema,
  at: z.int().transform((ms) => new Date(ms)),
}) satisfies z.ZodType<Withdrawal>

export class Withdrawals {
  readonly #path: string
  readonly #all: Map<Digest, Withdrawal>
  /** One change after the other. */
  readonly #turns = new Limiter(1)

  private constructor(path: string, all: readonly Withdrawal[]) {
    this.#path = path
    this.#all = new Map(all.map((each) => [each.image.id, each]))
  }

  /** What cannot be read is told, and counts as nothing: a store opens all the same. */
  static async open(root: string, log: StoreLog): Promise<Withdrawals> {
    const path = join(root, WITHDRAWN)
    const now = Date.now()
    const read = await readAll(path).catch((error: unknown) => {
      log.warn(
        { file: path, failure: failureOf(error) },
        'what a repair took away cannot be read; it does not come back by itself',
      )
      return []
    })
    const kept = read.filter(({ at }) => now - at.getTime() < LIFETIME_MS)
    for (const { image } of read)
      if (!kept.some((each) => each.image.id === image.id))
        log.warn({ image: image.id, names: namesOf(image) }, 'this image was removed for a repair a week ago; it is given up')
    return new Withdrawals(path, kept)
  }

  /** Those that have not come again. */
  all(): readonly Withdrawal[] {
    return [...this.#all.values()]
  }

  /** On disk when this resolves; what is known of an image already is added to. Throws no-space, system. */
  async add(withdrawals: readonly Withdrawal[]): Promise<void> {
    await this.#change((all) => {
      for (const each of withdrawals) {
        const before = all.get(each.image.id)
        all.set(each.image.id, before === undefined ? each : merged(before, each))
      }
    })
  }

  async remove(ids: readonly Digest[]): Promise<void> {
    if (!ids.some((id) => this.#all.has(id))) return
    await this.#change((all) => {
      for (const id of ids) all.delete(id)
    })
  }

  async #change(change: (all: Map<Digest, Withdrawal>) => void): Promise<void> {
    using _turn = await this.#turns.acquire({ signal: new AbortController().signal })
    const next = new Map(this.#all)
    change(next)
    try {
      await write(this.#path, [...next.values()])
    } catch (error) {
      throw asWindlassError(error)
    }
    change(this.#all)
  }
}

export const namesOf = ({ tags, digests }: Pick<WithdrawnImage, 'tags' | 'digests'>): readonly string[] => [...tags, ...digests]

function merged(before: Withdrawal, { image, records }: Withdrawal): Withdrawal {
  const both = new Map([...before.records, ...records].map((record) => [record.name, record]))
  const tags = [...new Set([...before.image.tags, ...image.tags])]
  const digests = [...new Set([...before.image.digests, ...image.digests])]
  return { ...before, image: { ...before.image, tags, digests }, records: [...both.values()] }
}

async function readAll(path: string): Promise<readonly Withdrawal[]> {
  try {
    return z.array(withdrawal).parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    const failure = failureOf(error)
    if (failure.kind === 'system' && failure.code === 'ENOENT') return []
    throw error
  }
}

/** Whole and on disk, or as it was. */
async function write(path: string, all: readonly Withdrawal[]): Promise<void> {
  if (all.length === 0) return await rm(path, { force: true })
  const text = JSON.stringify(all.map((each) => ({ ...each, receipts: receiptsJson(each.receipts), at: each.at.getTime() })))
  await using file = await open(`${path}.new`, 'w', 0o600)
  await file.writeFile(text)
  await file.sync()
  await rename(`${path}.new`, path)
  await using directory = await open(join(path, '..'))
  await directory.sync()
}
