// Original file: proto/runtime/v1/api.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Wrappers: present with 0 is not the same as absent.
 */
export interface Int64Value {
  'value'?: (number | string | Long);
}

/**
 * Wrappers: present with 0 is not the same as absent.
 */
export interface Int64Value__Output {
  'value': (number);
}
