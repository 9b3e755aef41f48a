// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface LayerInFlight {
  'digest'?: (string);
  'size'?: (number | string | Long);
  'state'?: (string);
  'bytes'?: (number | string | Long);
}

export interface LayerInFlight__Output {
  'digest': (string);
  'size': (number);
  'state': (string);
  'bytes': (number);
}
