import { read as readCallback } from 'node:fs'
import { promisify } from 'node:util'

const read = promisify(readCallback)

/** As many of `length` bytes as there are from `offset`. */
export async function readAt(fd: number, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await read(fd, buffer, filled, length - filled, offset + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return buffer.subarray(0, filled)
}
