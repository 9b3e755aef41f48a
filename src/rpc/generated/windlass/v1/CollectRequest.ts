// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface CollectRequest {
  /**
   * Only says what would go.
   */
  'dryRun'?: (boolean);
  /**
   * As much as must be free afterwards, whatever the watermarks say; 0: go by them.
   */
  'freeBytes'?: (number | string | Long);
}

export interface CollectRequest__Output {
  /**
   * Only says what would go.
   */
  'dryRun': (boolean);
  /**
   * As much as must be free afterwards, whatever the watermarks say; 0: go by them.
   */
  'freeBytes': (number);
}
