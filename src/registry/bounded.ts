/** The node's own small files: how registries are reached, and who logs in. Never more of one is read than such a file may have. */
import { constants, type FileHandle, open } from 'node:fs/promises'
import { fail, failureOf } from '../failure/failure.ts'

/** As much as a file of people's making, or a bundle of certificates, comes to. */
export const MAX_FILE_BYTES = 1 << 20

/** The text of a file; undefined where there is none. Throws bad-config where it is too large, no file, or cannot be read. */
export async function readSmall(file: string): Promise<string | undefined> {
  const refuse = (reason: string, cause?: unknown): never => fail({ kind: 'bad-config', file, reason }, cause)
  try {
    // Not to wait for a writer, should it be a pipe.
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
    if (!(await handle.stat()).isFile()) return refuse('it is no regular file')
    const bytes = await upTo(handle, MAX_FILE_BYTES + 1)
    return bytes.length > MAX_FILE_BYTES ? refuse(`larger than ${MAX_FILE_BYTES} bytes`) : bytes.toString('utf8')
  } catch (error) {
    const failure = failureOf(error)
    if (failure.kind !== 'system') throw error
    if (isAbsent(failure.code)) return undefined
    return refuse(`it cannot be read (${failure.code})`, error)
  }
}

async function upTo(handle: FileHandle, limit: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(limit)
  let length = 0
  while (length < limit) {
    const { bytesRead } = await handle.read(buffer, length, limit - length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return Buffer.from(buffer.subarray(0, length))
}

export const isAbsent = (code: string): boolean => code === 'ENOENT' || code === 'ENOTDIR'
