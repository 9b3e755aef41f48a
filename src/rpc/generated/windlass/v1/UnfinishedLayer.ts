// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface UnfinishedLayer {
  'layer'?: (number);
  /**
   * Where it stood, and for how long; "waiting", "downloading", "unpacking", "below" (unpacked, waiting for the layer below) or "committing".
   */
  'state'?: (string);
  'ms'?: (number | string);
  /**
   * Compressed bytes that had come, and that it has.
   */
  'bytes'?: (number | string | Long);
  'size'?: (number | string | Long);
  'digest'?: (string);
}

export interface UnfinishedLayer__Output {
  'layer': (number);
  /**
   * Where it stood, and for how long; "waiting", "downloading", "unpacking", "below" (unpacked, waiting for the layer below) or "committing".
   */
  'state': (string);
  'ms': (number);
  /**
   * Compressed bytes that had come, and that it has.
   */
  'bytes': (number);
  'size': (number);
  'digest': (string);
}
