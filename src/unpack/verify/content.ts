/** A file's bytes: by their CRC-64 where tar-split has it, else one by one. */
import { readSync } from 'node:fs'
import { check, close, O, openat, type Stat } from '../../sys/libc.ts'
import { Descriptor } from '../../sys/tree.ts'
import { Crc64 } from '../tar/crc64.ts'
import { type Comparison, type Place, pathTo } from './comparison.ts'
import { contentMark } from './skeleton.ts'

const BLOCK = 2 ** 18
const [ours, theirs] = [Buffer.allocUnsafe(BLOCK), Buffer.allocUnsafe(BLOCK)]
const FLAGS = O.RDONLY | O.NOFOLLOW | O.NONBLOCK | O.CLOEXEC

/** Throws system where the file cannot be read. */
export function compareContent(place: Place, want: Stat, have: Stat, { differences, readsAgain, goOn }: Comparison): void {
  if (want.size !== have.size) {
    differences.add(place.path, 'size', `${have.size} bytes, and ${want.size} in the layer`)
    return
  }
  if (want.size === 0) return
  const mark = contentMark(pathTo(place.want, place.name))
  if (mark?.isSeen === true && !readsAgain) return
  using file = new Descriptor(check(openat(place.have, place.name, FLAGS, 0), 'openat'))
  const isSame = mark === undefined ? areEqual(place, file.fd, goOn) : checksumOf(file.fd, goOn) === mark.crc64
  if (!isSame) differences.add(place.path, 'content', 'other bytes than in the layer')
}

function checksumOf(fd: number, goOn: () => void): string {
  const crc = new Crc64()
  for (let count = readSync(fd, theirs); count > 0; count = readSync(fd, theirs)) {
    goOn()
    crc.update(theirs.subarray(0, count))
  }
  return crc.base64()
}

/** The file of the skeleton is whole: tar-split has its bytes. */
function areEqual({ want, name }: Place, fd: number, goOn: () => void): boolean {
  const own = check(openat(want, name, FLAGS, 0), 'openat')
  try {
    for (;;) {
      goOn()
      const count = readSync(own, ours)
      if (count === 0) return readSync(fd, theirs) === 0
      if (!(fill(fd, theirs, count) === count && ours.subarray(0, count).equals(theirs.subarray(0, count)))) return false
    }
  } finally {
    close(own)
  }
}

/** Reads exactly `count` bytes, fewer at the end. */
function fill(fd: number, into: Buffer, count: number): number {
  let at = 0
  for (let got = 1; at < count && got > 0; at += got) got = readSync(fd, into, at, count - at, null)
  return at
}
