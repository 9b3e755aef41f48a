// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface Passthrough {
  'on'?: (boolean);
  'reason'?: (string);
  'sinceMs'?: (number | string | Long);
}

export interface Passthrough__Output {
  'on': (boolean);
  'reason': (string);
  'sinceMs': (number);
}
