// Original file: proto/windlass/v1/windlass.proto

import type { Descriptor as _windlass_v1_Descriptor, Descriptor__Output as _windlass_v1_Descriptor__Output } from '../../windlass/v1/Descriptor.ts';

export interface Resolved {
  'root'?: (_windlass_v1_Descriptor | null);
  'manifest'?: (_windlass_v1_Descriptor | null);
  'platform'?: (string);
  'host'?: (string);
  'ms'?: (number | string);
  /**
   * Waiting for other pulls, before; getting tokens, of `ms`.
   */
  'queuedMs'?: (number | string);
  'tokenMs'?: (number | string);
}

export interface Resolved__Output {
  'root': (_windlass_v1_Descriptor__Output | null);
  'manifest': (_windlass_v1_Descriptor__Output | null);
  'platform': (string);
  'host': (string);
  'ms': (number);
  /**
   * Waiting for other pulls, before; getting tokens, of `ms`.
   */
  'queuedMs': (number);
  'tokenMs': (number);
}
