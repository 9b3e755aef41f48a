// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface LayerFiles {
  'diffId'?: (string);
  /**
   * Absolute paths of the tree and of its tar-split.
   */
  'diff'?: (string);
  'tarSplit'?: (string);
  /**
   * Bytes of the tar.
   */
  'size'?: (number | string | Long);
}

export interface LayerFiles__Output {
  'diffId': (string);
  /**
   * Absolute paths of the tree and of its tar-split.
   */
  'diff': (string);
  'tarSplit': (string);
  /**
   * Bytes of the tar.
   */
  'size': (number);
}
