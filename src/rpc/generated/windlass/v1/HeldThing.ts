// Original file: proto/windlass/v1/windlass.proto

import type { Hold as _windlass_v1_Hold, Hold__Output as _windlass_v1_Hold__Output } from '../../windlass/v1/Hold.ts';

export interface HeldThing {
  /**
   * "image", "layer", "manifest", "index" or "config".
   */
  'kind'?: (string);
  'digest'?: (string);
  'names'?: (string)[];
  /**
   * Empty: the next collection removes it.
   */
  'holds'?: (_windlass_v1_Hold)[];
}

export interface HeldThing__Output {
  /**
   * "image", "layer", "manifest", "index" or "config".
   */
  'kind': (string);
  'digest': (string);
  'names': (string)[];
  /**
   * Empty: the next collection removes it.
   */
  'holds': (_windlass_v1_Hold__Output)[];
}
