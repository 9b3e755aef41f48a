// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

/**
 * A part of a blob of the archive. Its answer has as many bytes, fewer at the blob's end alone.
 */
export interface Wanted {
  'id'?: (number | string | Long);
  'digest'?: (string);
  'offset'?: (number | string | Long);
  'length'?: (number | string | Long);
}

/**
 * A part of a blob of the archive. Its answer has as many bytes, fewer at the blob's end alone.
 */
export interface Wanted__Output {
  'id': (number);
  'digest': (string);
  'offset': (number);
  'length': (number);
}
