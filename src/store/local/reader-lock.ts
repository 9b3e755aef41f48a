/**
 * The lock files of containers/storage, `layers.lock` and `images.lock`. A reader holds a record lock for reading on one while it works
 * with what it has read, and reads the JSON file anew when the 64 bytes in it have changed.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs'
import { check, EAGAIN, wrap } from '../../sys/libc.ts'

const TOKEN_BYTES = 64

/**
 * Tells readers to read again: 64 fresh bytes, written in place, because readers keep the file open. The file is made where it is not
 * there: on a read-only mount a reader that has to make it fails with its whole storage. Nothing is synced, for nobody remembers the bytes
 * over a restart of the machine.
 */
export function tellReaders(lock: string): void {
  const fd = openSync(lock, constants.O_WRONLY | constants.O_CREAT, 0o600)
  try {
    writeSync(fd, randomBytes(TOKEN_BYTES), 0, TOKEN_BYTES, 0)
    ftruncateSync(fd, TOKEN_BYTES)
  } finally {
    closeSync(fd)
  }
}

// fcntl(2) is variadic; on both architectures a variadic pointer travels in the same register as a declared one.
const fcntl = wrap<[fd: number, command: number, lock: Buffer]>('fcntl', 'int', ['int', 'int', 'void *'])
const F_OFD_SETLK = 37
const F_WRLCK = 1

/**
 * Takes the lock for writing until it is disposed, unless somebody reads: undefined then, without waiting. It is a lock of the open
 * file description (F_OFD_SETLK), which excludes the readers' POSIX locks and, unlike them, is not lost when another descriptor is closed.
 */
export function lockOutReaders(lock: string): Disposable | undefined {
  const fd = openSync(lock, constants.O_RDWR | constants.O_CREAT, 0o600)
  // struct flock: l_type 2 bytes, l_whence 2, padding 4, l_start 8, l_len 8, l_pid 4, padding 4. From 0 for 0 bytes is the whole file.
  const whole = Buffer.alloc(32)
  whole.writeInt16LE(F_WRLCK, 0)
  const result = fcntl(fd, F_OFD_SETLK, whole)
  if (result === -EAGAIN) {
    closeSync(fd)
    return undefined
  }
  try {
    check(result, 'fcntl', lock)
  } catch (error) {
    closeSync(fd)
    throw error
  }
  return { [Symbol.dispose]: () => closeSync(fd) }
}
