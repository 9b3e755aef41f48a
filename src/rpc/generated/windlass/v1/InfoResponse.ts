// Original file: proto/windlass/v1/windlass.proto

import type { Runtime as _windlass_v1_Runtime, Runtime__Output as _windlass_v1_Runtime__Output } from '../../windlass/v1/Runtime.ts';
import type { Passthrough as _windlass_v1_Passthrough, Passthrough__Output as _windlass_v1_Passthrough__Output } from '../../windlass/v1/Passthrough.ts';

export interface InfoResponse {
  'version'?: (string);
  'nodeVersion'?: (string);
  'root'?: (string);
  'pid'?: (number);
  'platform'?: (string);
  /**
   * Unset where images stay in the daemon's own store.
   */
  'runtime'?: (_windlass_v1_Runtime | null);
  'passthrough'?: (_windlass_v1_Passthrough | null);
}

export interface InfoResponse__Output {
  'version': (string);
  'nodeVersion': (string);
  'root': (string);
  'pid': (number);
  'platform': (string);
  /**
   * Unset where images stay in the daemon's own store.
   */
  'runtime': (_windlass_v1_Runtime__Output | null);
  'passthrough': (_windlass_v1_Passthrough__Output | null);
}
