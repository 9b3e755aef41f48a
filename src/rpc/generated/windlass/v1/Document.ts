// Original file: proto/windlass/v1/windlass.proto

import type { Descriptor as _windlass_v1_Descriptor, Descriptor__Output as _windlass_v1_Descriptor__Output } from '../../windlass/v1/Descriptor.ts';

export interface Document {
  'descriptor'?: (_windlass_v1_Descriptor | null);
  /**
   * As they came.
   */
  'content'?: (Buffer | Uint8Array | string);
}

export interface Document__Output {
  'descriptor': (_windlass_v1_Descriptor__Output | null);
  /**
   * As they came.
   */
  'content': (Buffer);
}
