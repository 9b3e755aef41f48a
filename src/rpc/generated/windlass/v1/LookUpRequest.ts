// Original file: proto/windlass/v1/windlass.proto

import type { Credentials as _windlass_v1_Credentials, Credentials__Output as _windlass_v1_Credentials__Output } from '../../windlass/v1/Credentials.ts';

export interface LookUpRequest {
  /**
   * As a person types it; with `local` an id (a prefix will do) too.
   */
  'name'?: (string);
  'credentials'?: (_windlass_v1_Credentials | null);
  /**
   * In the store; else the registry is asked.
   */
  'local'?: (boolean);
  /**
   * Goes on from an index to one image: this platform's, or the node's own where it is empty.
   */
  'image'?: (boolean);
  'platform'?: (string);
}

export interface LookUpRequest__Output {
  /**
   * As a person types it; with `local` an id (a prefix will do) too.
   */
  'name': (string);
  'credentials': (_windlass_v1_Credentials__Output | null);
  /**
   * In the store; else the registry is asked.
   */
  'local': (boolean);
  /**
   * Goes on from an index to one image: this platform's, or the node's own where it is empty.
   */
  'image': (boolean);
  'platform': (string);
}
