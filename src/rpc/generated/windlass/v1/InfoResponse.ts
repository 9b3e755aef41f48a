// Original file: proto/windlass/v1/windlass.proto

import type { Runtime as _windlass_v1_Runtime, Runtime__Output as _windlass_v1_Runtime__Output } from '../../windlass/v1/Runtime.ts';
import type { Passthrough as _windlass_v1_Passthrough, Passthrough__Output as _windlass_v1_Passthrough__Output } from '../../windlass/v1/Passthrough.ts';
import type { Disk as _windlass_v1_Disk, Disk__Output as _windlass_v1_Disk__Output } from '../../windlass/v1/Disk.ts';
import type { Long } from '@grpc/proto-loader';

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
  /**
   * Of the file system that images are on. Unset while the daemon's own way of pulling is not open.
   */
  'disk'?: (_windlass_v1_Disk | null);
  /**
   * What images take up of it.
   */
  'imageBytes'?: (number | string | Long);
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
  /**
   * Of the file system that images are on. Unset while the daemon's own way of pulling is not open.
   */
  'disk': (_windlass_v1_Disk__Output | null);
  /**
   * What images take up of it.
   */
  'imageBytes': (number);
}
