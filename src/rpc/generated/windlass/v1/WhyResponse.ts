// Original file: proto/windlass/v1/windlass.proto

import type { HeldThing as _windlass_v1_HeldThing, HeldThing__Output as _windlass_v1_HeldThing__Output } from '../../windlass/v1/HeldThing.ts';

export interface WhyResponse {
  'things'?: (_windlass_v1_HeldThing)[];
}

export interface WhyResponse__Output {
  'things': (_windlass_v1_HeldThing__Output)[];
}
