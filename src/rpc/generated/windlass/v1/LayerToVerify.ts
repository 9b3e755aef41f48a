// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface LayerToVerify {
  'layerId'?: (string);
  'diffId'?: (string);
  'bytes'?: (number | string | Long);
  /**
   * The names of the images it is part of.
   */
  'images'?: (string)[];
}

export interface LayerToVerify__Output {
  'layerId': (string);
  'diffId': (string);
  'bytes': (number);
  /**
   * The names of the images it is part of.
   */
  'images': (string)[];
}
