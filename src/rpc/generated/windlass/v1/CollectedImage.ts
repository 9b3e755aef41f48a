// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface CollectedImage {
  'id'?: (string);
  'names'?: (string)[];
  /**
   * "age", "pressure" or "asked".
   */
  'reason'?: (string);
  'usedAtMs'?: (number | string | Long);
  /**
   * What goes with this image and those before it in the list.
   */
  'bytes'?: (number | string | Long);
}

export interface CollectedImage__Output {
  'id': (string);
  'names': (string)[];
  /**
   * "age", "pressure" or "asked".
   */
  'reason': (string);
  'usedAtMs': (number);
  /**
   * What goes with this image and those before it in the list.
   */
  'bytes': (number);
}
