// Original file: proto/windlass/v1/windlass.proto

import type { PullReport as _windlass_v1_PullReport, PullReport__Output as _windlass_v1_PullReport__Output } from '../../windlass/v1/PullReport.ts';

export interface ListHistoryResponse {
  'reports'?: (_windlass_v1_PullReport)[];
}

export interface ListHistoryResponse__Output {
  'reports': (_windlass_v1_PullReport__Output)[];
}
