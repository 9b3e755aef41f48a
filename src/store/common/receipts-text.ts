/** Receipts as a store writes them down. */
import { z } from 'zod'
import type { Receipt, Receipts } from '../receipts.ts'

const time = z.int().transform((ms) => new Date(ms))
const receipt = z.object({ identity: z.string(), name: z.string(), host: z.string(), at: time }) satisfies z.ZodType<Receipt>
export const receiptsSchema = z.object({
  receipts: z.array(receipt),
  since: time.exactOptional(),
  carriedTo: time.exactOptional(),
}) satisfies z.ZodType<WrittenReceipts>

/** `carriedTo`: the image was taken away and brought again, and its record is of this time; what is older is its own all the same. */
export type WrittenReceipts = Receipts & { readonly carriedTo?: Date }

export const receiptsJson = ({ receipts, since, carriedTo }: WrittenReceipts) => ({
  receipts: receipts.map((each) => ({ ...each, at: each.at.getTime() })),
  ...(since === undefined ? {} : { since: since.getTime() }),
  ...(carriedTo === undefined ? {} : { carriedTo: carriedTo.getTime() }),
})

export const receiptsText = (receipts: WrittenReceipts): string => JSON.stringify(receiptsJson(receipts))

/** Undefined for what is no such text, one that a power cut has emptied, say: it says as much as none. */
export function receiptsIn(text: string): WrittenReceipts | undefined {
  try {
    return receiptsSchema.safeParse(JSON.parse(text)).data
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
