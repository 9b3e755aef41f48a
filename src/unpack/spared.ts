/** A hundredth of a disk, but no more than this, is left free for everybody else. */
const MOST_BYTES = 2 ** 28
const MOST_INODES = 10_000

/** Of a disk of so many bytes, how many no layer gets. */
export const sparedBytes = (totalBytes: number): number => Math.min(totalBytes / 100, MOST_BYTES)

/** Of so many inodes, how many. */
export const sparedInodes = (totalInodes: number): number => Math.min(totalInodes / 100, MOST_INODES)
