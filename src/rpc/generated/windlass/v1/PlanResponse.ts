// Original file: proto/windlass/v1/windlass.proto

import type { Plan as _windlass_v1_Plan, Plan__Output as _windlass_v1_Plan__Output } from '../../windlass/v1/Plan.ts';

export interface PlanResponse {
  'plan'?: (_windlass_v1_Plan | null);
}

export interface PlanResponse__Output {
  'plan': (_windlass_v1_Plan__Output | null);
}
