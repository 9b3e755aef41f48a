/** Where things are in a bundle, and the mark that it is ours. */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { failureOf } from '../failure/failure.ts'

/** What windlass.json holds. `madeDir`: the directory itself was made by us, and goes with the bundle. */
export type BundleMark = { readonly reference: string; readonly imageId: string; readonly madeDir: boolean }

const mark = z.strictObject({
  kind: z.literal('windlass-bundle'),
  reference: z.string(),
  imageId: z.string(),
  madeDir: z.boolean(),
})
const MAX_MARK_BYTES = 16_384

export const parts = (dir: string) => ({
  rootfs: join(dir, 'rootfs'),
  upper: join(dir, 'upper'),
  work: join(dir, 'work'),
  config: join(dir, 'config.json'),
  marker: join(dir, 'windlass.json'),
})

export const markText = ({ reference, imageId, madeDir }: BundleMark): string =>
  `${JSON.stringify({ kind: 'windlass-bundle', reference, imageId, madeDir }, null, 2)}\n`

/** The mark of a bundle; undefined where there is none, or something else of that name. */
export function readMark(dir: string): BundleMark | undefined {
  const { marker } = parts(dir)
  const status = statSync(marker, { throwIfNoEntry: false })
  if (status === undefined || !status.isFile() || status.size > MAX_MARK_BYTES) return undefined
  const result = mark.safeParse(parseOrUndefined(readFileSync(marker, 'utf8')))
  return result.success ? result.data : undefined
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (failureOf(error).kind === 'internal') return undefined
    throw error
  }
}
