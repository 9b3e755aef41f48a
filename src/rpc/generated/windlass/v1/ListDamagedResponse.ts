// Original file: proto/windlass/v1/windlass.proto

import type { DamagedLayer as _windlass_v1_DamagedLayer, DamagedLayer__Output as _windlass_v1_DamagedLayer__Output } from '../../windlass/v1/DamagedLayer.ts';

export interface ListDamagedResponse {
  'layers'?: (_windlass_v1_DamagedLayer)[];
}

export interface ListDamagedResponse__Output {
  'layers': (_windlass_v1_DamagedLayer__Output)[];
}
