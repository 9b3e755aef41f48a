// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface StaleTag {
  /**
   * host/repository:tag
   */
  'reference'?: (string);
  /**
   * What it named last.
   */
  'digest'?: (string);
  'sinceMs'?: (number | string | Long);
}

export interface StaleTag__Output {
  /**
   * host/repository:tag
   */
  'reference': (string);
  /**
   * What it named last.
   */
  'digest': (string);
  'sinceMs': (number);
}
