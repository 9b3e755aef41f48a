// Original file: proto/windlass/v1/windlass.proto

import type { Credentials as _windlass_v1_Credentials, Credentials__Output as _windlass_v1_Credentials__Output } from '../../windlass/v1/Credentials.ts';

export interface PlanRequest {
  'reference'?: (string);
  'credentials'?: (_windlass_v1_Credentials | null);
  'platform'?: (string);
}

export interface PlanRequest__Output {
  'reference': (string);
  'credentials': (_windlass_v1_Credentials__Output | null);
  'platform': (string);
}
