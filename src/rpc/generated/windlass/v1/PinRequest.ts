// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface PinRequest {
  /**
   * Id (a prefix will do), tag or digest reference.
   */
  'image'?: (string);
  'owner'?: (string);
  'reason'?: (string);
  /**
   * Milliseconds from now; 0: for good.
   */
  'ttlMs'?: (number | string | Long);
}

export interface PinRequest__Output {
  /**
   * Id (a prefix will do), tag or digest reference.
   */
  'image': (string);
  'owner': (string);
  'reason': (string);
  /**
   * Milliseconds from now; 0: for good.
   */
  'ttlMs': (number);
}
