/** Receipts as a store writes them down. */
import { z } from 'zod'
import type { Receipt, Receipts } from '../receipts.ts'

const time = z.int().transform((ms) => new Date(ms))
const receipt = z.object({ identity: z.string(), name: z.string(), host: z.string(), at: time }) satisfies z.ZodType<Receipt>
const schema = z.object({ receipts: z.array(receipt), since: time.exactOptional() }) satisfies z.ZodType<Receipts>

export const receiptsText = ({ receipts, since }: Receipts): string =>
  JSON.stringify({
    receipts: receipts.map((each) => ({ ...each, at: each.at.getTime() })),
    ...(since === undefined ? {} : { since: since.getTime() }),
  })

/** Undefined for what is no such text, one that a power cut has emptied, say: it says as much as none. */
export function receiptsIn(text: string): Receipts | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
