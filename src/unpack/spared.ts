/** A hundredth of a disk, but no more than this, is left free for everybody else. */
const MOST = 2 ** 28

/** Of a disk of so many bytes, how many no layer gets. */
export const sparedBytes = (totalBytes: number): number => Math.min(totalBytes / 100, MOST)
