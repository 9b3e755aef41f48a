// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface Piece {
  /**
   * Of what was wanted.
   */
  'id'?: (number | string | Long);
  'content'?: (Buffer | Uint8Array | string);
}

export interface Piece__Output {
  /**
   * Of what was wanted.
   */
  'id': (number);
  'content': (Buffer);
}
