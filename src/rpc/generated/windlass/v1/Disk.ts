// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface Disk {
  'path'?: (string);
  'totalBytes'?: (number | string | Long);
  'availableBytes'?: (number | string | Long);
  /**
   * Of bytes or inodes, whichever is scarcer.
   */
  'usedPercent'?: (number | string);
}

export interface Disk__Output {
  'path': (string);
  'totalBytes': (number);
  'availableBytes': (number);
  /**
   * Of bytes or inodes, whichever is scarcer.
   */
  'usedPercent': (number);
}
