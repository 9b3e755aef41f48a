// Original file: proto/windlass/v1/windlass.proto

import type { LayerDone as _windlass_v1_LayerDone, LayerDone__Output as _windlass_v1_LayerDone__Output } from '../../windlass/v1/LayerDone.ts';

export interface ReportedLayer {
  'digest'?: (string);
  'report'?: (_windlass_v1_LayerDone | null);
}

export interface ReportedLayer__Output {
  'digest': (string);
  'report': (_windlass_v1_LayerDone__Output | null);
}
