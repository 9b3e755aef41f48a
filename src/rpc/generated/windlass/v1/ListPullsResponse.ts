// Original file: proto/windlass/v1/windlass.proto

import type { PullInFlight as _windlass_v1_PullInFlight, PullInFlight__Output as _windlass_v1_PullInFlight__Output } from '../../windlass/v1/PullInFlight.ts';

export interface ListPullsResponse {
  'pulls'?: (_windlass_v1_PullInFlight)[];
}

export interface ListPullsResponse__Output {
  'pulls': (_windlass_v1_PullInFlight__Output)[];
}
