// Original file: proto/windlass/v1/windlass.proto

import type { Descriptor as _windlass_v1_Descriptor, Descriptor__Output as _windlass_v1_Descriptor__Output } from '../../windlass/v1/Descriptor.ts';

export interface OfferedPlatform {
  /**
   * Empty where the index does not say.
   */
  'platform'?: (string);
  'manifest'?: (_windlass_v1_Descriptor | null);
  /**
   * "chosen": what a pull on this node takes; "runs": it would run here; "foreign".
   */
  'fit'?: (string);
}

export interface OfferedPlatform__Output {
  /**
   * Empty where the index does not say.
   */
  'platform': (string);
  'manifest': (_windlass_v1_Descriptor__Output | null);
  /**
   * "chosen": what a pull on this node takes; "runs": it would run here; "foreign".
   */
  'fit': (string);
}
