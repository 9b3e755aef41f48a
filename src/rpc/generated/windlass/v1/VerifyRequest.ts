// Original file: proto/windlass/v1/windlass.proto

import type { Credentials as _windlass_v1_Credentials, Credentials__Output as _windlass_v1_Credentials__Output } from '../../windlass/v1/Credentials.ts';

export interface VerifyRequest {
  /**
   * As people name them; none for all.
   */
  'images'?: (string)[];
  'repair'?: (boolean);
  /**
   * To pull again with; for one image, and its registry alone.
   */
  'credentials'?: (_windlass_v1_Credentials | null);
}

export interface VerifyRequest__Output {
  /**
   * As people name them; none for all.
   */
  'images': (string)[];
  'repair': (boolean);
  /**
   * To pull again with; for one image, and its registry alone.
   */
  'credentials': (_windlass_v1_Credentials__Output | null);
}
