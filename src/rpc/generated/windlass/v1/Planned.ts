// Original file: proto/windlass/v1/windlass.proto

import type { Plan as _windlass_v1_Plan, Plan__Output as _windlass_v1_Plan__Output } from '../../windlass/v1/Plan.ts';

export interface Planned {
  'plan'?: (_windlass_v1_Plan | null);
}

export interface Planned__Output {
  'plan': (_windlass_v1_Plan__Output | null);
}
