// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface Progress {
  /**
   * Position in the manifest, from 0.
   */
  'layer'?: (number);
  /**
   * "waiting", "downloading", "unpacking", "committing" or "done".
   */
  'state'?: (string);
  /**
   * Compressed bytes so far.
   */
  'bytes'?: (number | string | Long);
}

export interface Progress__Output {
  /**
   * Position in the manifest, from 0.
   */
  'layer': (number);
  /**
   * "waiting", "downloading", "unpacking", "committing" or "done".
   */
  'state': (string);
  /**
   * Compressed bytes so far.
   */
  'bytes': (number);
}
