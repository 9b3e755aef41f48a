// Original file: proto/windlass/v1/windlass.proto

import type { Passthrough as _windlass_v1_Passthrough, Passthrough__Output as _windlass_v1_Passthrough__Output } from '../../windlass/v1/Passthrough.ts';

export interface SetPassthroughResponse {
  'passthrough'?: (_windlass_v1_Passthrough | null);
}

export interface SetPassthroughResponse__Output {
  'passthrough': (_windlass_v1_Passthrough__Output | null);
}
