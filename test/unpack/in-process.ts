/**
 * An unpacker without processes of its own, for where confined ones cannot be had: an emulator of another processor knows neither Landlock
 * nor seccomp. The layer's way from bytes to tree is the real one.
 */
import { umask } from '../../src/sys/libc.ts'
import { unpackLayer } from '../../src/unpack/layer.ts'
import { blocksOf } from '../../src/unpack/tar-blocks.ts'
import type { UnpackedLayer, Unpacker, Unpacking, UnpackJob, UnpackLimits } from '../../src/unpack/unpack.ts'

/** Takes blobs alone (a local copy is read by openat2, which the emulator lacks), and unpacks each when all of it is there. */
export const unpackHere = (limits: UnpackLimits): Unpacker => ({
  checkRights: () => {},
  startWorker: () => {},
  open: async (job) => opened(job, limits),
  [Symbol.asyncDispose]: async () => {},
})

function opened({ dir, diffId, source }: UnpackJob, limits: UnpackLimits): Unpacking {
  if (source.kind !== 'blob') throw new Error('only blobs are unpacked here')
  const given: Uint8Array[] = []
  return {
    blockedMs: 0,
    unread: 0,
    unpacked: 0,
    rank: () => {},
    write: (chunk) => void given.push(Uint8Array.from(chunk)),
    finish: async () => {
      await using blocks = blocksOf(() => given.shift(), source.size)
      return withoutUmask(() =>
        unpackLayer({ dir, diffId, limits, writesBack: false, bytes: { ...source, blocks }, progress: () => {} }),
      )
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

function withoutUmask(unpack: () => Omit<UnpackedLayer, 'workMs'>): UnpackedLayer {
  const before = umask(0)
  try {
    return { ...unpack(), workMs: 0 }
  } finally {
    umask(before)
  }
}
