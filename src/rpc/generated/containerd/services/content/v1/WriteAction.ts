// Original file: proto/containerd/v1/content.proto

export const WriteAction = {
  STAT: 0,
  WRITE: 1,
  /**
   * Writes its data, then makes the whole findable if it has the expected digest and total.
   */
  COMMIT: 2,
} as const;

export type WriteAction =
  | 'STAT'
  | 0
  | 'WRITE'
  | 1
  /**
   * Writes its data, then makes the whole findable if it has the expected digest and total.
   */
  | 'COMMIT'
  | 2

export type WriteAction__Output = typeof WriteAction[keyof typeof WriteAction]
