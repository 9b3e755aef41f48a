// Original file: proto/windlass/v1/windlass.proto

import type { StaleTag as _windlass_v1_StaleTag, StaleTag__Output as _windlass_v1_StaleTag__Output } from '../../windlass/v1/StaleTag.ts';

export interface ListStaleResponse {
  'tags'?: (_windlass_v1_StaleTag)[];
}

export interface ListStaleResponse__Output {
  'tags': (_windlass_v1_StaleTag__Output)[];
}
