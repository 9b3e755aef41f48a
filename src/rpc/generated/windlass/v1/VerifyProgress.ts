// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface VerifyProgress {
  /**
   * Position in `planned`, from 0.
   */
  'layer'?: (number);
  'bytes'?: (number | string | Long);
}

export interface VerifyProgress__Output {
  /**
   * Position in `planned`, from 0.
   */
  'layer': (number);
  'bytes': (number);
}
