// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

/**
 * What a verification found of a layer.
 */
export interface Damage {
  'foundAtMs'?: (number | string | Long);
  'differences'?: (number | string | Long);
  /**
   * The first of them, for a person.
   */
  'first'?: (string);
}

/**
 * What a verification found of a layer.
 */
export interface Damage__Output {
  'foundAtMs': (number);
  'differences': (number);
  /**
   * The first of them, for a person.
   */
  'first': (string);
}
