// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface LayerDone {
  'layer'?: (number);
  'origin'?: (string);
  'host'?: (string);
  'blobSize'?: (number | string | Long);
  'diffSize'?: (number | string | Long);
  'entries'?: (number | string | Long);
  'whiteouts'?: (number | string | Long);
  'queuedMs'?: (number | string);
  'networkMs'?: (number | string);
  'unpackMs'?: (number | string);
  'attempts'?: (number);
  'warnings'?: (string)[];
}

export interface LayerDone__Output {
  'layer': (number);
  'origin': (string);
  'host': (string);
  'blobSize': (number);
  'diffSize': (number);
  'entries': (number);
  'whiteouts': (number);
  'queuedMs': (number);
  'networkMs': (number);
  'unpackMs': (number);
  'attempts': (number);
  'warnings': (string)[];
}
