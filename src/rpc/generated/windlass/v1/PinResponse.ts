// Original file: proto/windlass/v1/windlass.proto

import type { Pin as _windlass_v1_Pin, Pin__Output as _windlass_v1_Pin__Output } from '../../windlass/v1/Pin.ts';

export interface PinResponse {
  'imageId'?: (string);
  /**
   * What was set, or taken back.
   */
  'pins'?: (_windlass_v1_Pin)[];
  /**
   * After Unpin: what stands all the same.
   */
  'left'?: (_windlass_v1_Pin)[];
}

export interface PinResponse__Output {
  'imageId': (string);
  /**
   * What was set, or taken back.
   */
  'pins': (_windlass_v1_Pin__Output)[];
  /**
   * After Unpin: what stands all the same.
   */
  'left': (_windlass_v1_Pin__Output)[];
}
