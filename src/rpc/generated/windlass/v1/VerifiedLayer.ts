// Original file: proto/windlass/v1/windlass.proto

import type { Difference as _windlass_v1_Difference, Difference__Output as _windlass_v1_Difference__Output } from '../../windlass/v1/Difference.ts';
import type { Long } from '@grpc/proto-loader';

export interface VerifiedLayer {
  'layer'?: (number);
  /**
   * "sound", "damaged", "unknown", or "unverifiable" where nothing is kept that it could be verified by. A repaired layer comes twice; the
   * last time counts.
   */
  'outcome'?: (string);
  /**
   * The first of them; `total` counts all.
   */
  'differences'?: (_windlass_v1_Difference)[];
  'total'?: (number | string | Long);
  /**
   * "equal", "differs" or "unknowable".
   */
  'digest'?: (string);
  /**
   * Why nothing is known, or can be.
   */
  'reason'?: (string);
  'ms'?: (number | string);
}

export interface VerifiedLayer__Output {
  'layer': (number);
  /**
   * "sound", "damaged", "unknown", or "unverifiable" where nothing is kept that it could be verified by. A repaired layer comes twice; the
   * last time counts.
   */
  'outcome': (string);
  /**
   * The first of them; `total` counts all.
   */
  'differences': (_windlass_v1_Difference__Output)[];
  'total': (number);
  /**
   * "equal", "differs" or "unknowable".
   */
  'digest': (string);
  /**
   * Why nothing is known, or can be.
   */
  'reason': (string);
  'ms': (number);
}
