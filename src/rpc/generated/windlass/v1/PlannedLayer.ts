// Original file: proto/windlass/v1/windlass.proto

import type { Descriptor as _windlass_v1_Descriptor, Descriptor__Output as _windlass_v1_Descriptor__Output } from '../../windlass/v1/Descriptor.ts';

export interface PlannedLayer {
  'blob'?: (_windlass_v1_Descriptor | null);
  'diffId'?: (string);
  /**
   * "here", "copy" or "registry".
   */
  'origin'?: (string);
}

export interface PlannedLayer__Output {
  'blob': (_windlass_v1_Descriptor__Output | null);
  'diffId': (string);
  /**
   * "here", "copy" or "registry".
   */
  'origin': (string);
}
