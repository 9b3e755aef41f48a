/** A file of an archive that is read as a whole: a document, whose size is bounded before anything is kept of it. */
import { fail } from '../failure/failure.ts'
import type { Files } from './archive.ts'

/** What registries take, and archives have no reason to exceed. */
export const MAX_DOCUMENT = 4 * 1024 * 1024

/** Undefined where the archive has no such file. Throws bad-archive, system. */
export async function readDocument(files: Files, path: string, archive: string): Promise<Buffer | undefined> {
  const file = await files.find(path)
  if (file === undefined) return undefined
  if (file.size > MAX_DOCUMENT)
    fail({ kind: 'bad-archive', archive, entry: path, reason: `a document of ${file.size} bytes; ${MAX_DOCUMENT} are allowed` })
  return await file.read(0, file.size)
}

/** The document as JSON that nobody has checked. Throws bad-archive. */
export function jsonOf(bytes: Buffer, path: string, archive: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    return fail({ kind: 'bad-archive', archive, entry: path, reason: 'it is no JSON' }, error)
  }
}
