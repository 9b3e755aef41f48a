/** Where a saved archive goes: a tar, or a directory that must be empty. */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { fail } from '../failure/failure.ts'
import type { ArchiveWriter } from './save.ts'

/** A tar in which nothing depends on when and by whom it was made. `write` resolves once the bytes are taken. */
export function tarWriter(write: (bytes: Uint8Array) => Promise<void>): ArchiveWriter {
  return {
    file: async (path, size, content, { signal }) => {
      await write(headerOf(path, size))
      let bytes = 0
      for (const block of content) {
        signal.throwIfAborted()
        bytes += block.length
        if (bytes > size) fail({ kind: 'internal', what: `${path} has more than ${size} bytes` })
        await write(block)
      }
      await write(Buffer.alloc((512 - (size % 512)) % 512))
    },
    end: () => write(Buffer.alloc(1024)),
  }
}

/** Octal digits take 8 GiB; more is written in base 256, as GNU tar and Go do. */
const MAX_OCTAL = 8 ** 11 - 1

/** POSIX.1-1988 ustar; every path here is shorter than its name field. */
function headerOf(path: string, size: number): Buffer {
  const header = Buffer.alloc(512)
  header.write(path, 0, 100, 'latin1')
  header.write('0000644\0', 100)
  header.write('0000000\0', 108)
  header.write('0000000\0', 116)
  if (size <= MAX_OCTAL) header.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  else {
    header[124] = 0x80
    header.writeBigUInt64BE(BigInt(size), 128)
  }
  header.write(`${'0'.repeat(11)}\0`, 136)
  header.write('        ', 148)
  header.write('0', 156)
  header.write('ustar\x0000', 257, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

/** An image layout as files. */
export function directoryWriter(dir: string): ArchiveWriter {
  return {
    file: async (path, _size, content, { signal }) => {
      mkdirSync(join(dir, dirname(path)), { recursive: true })
      const fd = openSync(join(dir, path), 'wx', 0o644)
      try {
        for (const block of content) {
          for (let at = 0; at < block.length; ) at += writeSync(fd, block, at)
          await turn()
          signal.throwIfAborted()
        }
      } finally {
        closeSync(fd)
      }
    },
    end: async () => {},
  }
}
