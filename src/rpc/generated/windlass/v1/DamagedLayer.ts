// Original file: proto/windlass/v1/windlass.proto

import type { Damage as _windlass_v1_Damage, Damage__Output as _windlass_v1_Damage__Output } from '../../windlass/v1/Damage.ts';

export interface DamagedLayer {
  'layerId'?: (string);
  'diffId'?: (string);
  'damage'?: (_windlass_v1_Damage | null);
  'imageIds'?: (string)[];
}

export interface DamagedLayer__Output {
  'layerId': (string);
  'diffId': (string);
  'damage': (_windlass_v1_Damage__Output | null);
  'imageIds': (string)[];
}
