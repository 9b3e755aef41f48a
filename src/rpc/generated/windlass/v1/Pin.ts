// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface Pin {
  'owner'?: (string);
  'reason'?: (string);
  'sinceMs'?: (number | string | Long);
  /**
   * 0: for good.
   */
  'untilMs'?: (number | string | Long);
}

export interface Pin__Output {
  'owner': (string);
  'reason': (string);
  'sinceMs': (number);
  /**
   * 0: for good.
   */
  'untilMs': (number);
}
