// Original file: proto/windlass/v1/windlass.proto

import type { PullEvent as _windlass_v1_PullEvent, PullEvent__Output as _windlass_v1_PullEvent__Output } from '../../windlass/v1/PullEvent.ts';
import type { Wanted as _windlass_v1_Wanted, Wanted__Output as _windlass_v1_Wanted__Output } from '../../windlass/v1/Wanted.ts';

export interface LoadResponse {
  'event'?: (_windlass_v1_PullEvent | null);
  'wanted'?: (_windlass_v1_Wanted | null);
  'response'?: "event"|"wanted";
}

export interface LoadResponse__Output {
  'event'?: (_windlass_v1_PullEvent__Output | null);
  'wanted'?: (_windlass_v1_Wanted__Output | null);
  'response'?: "event"|"wanted";
}
