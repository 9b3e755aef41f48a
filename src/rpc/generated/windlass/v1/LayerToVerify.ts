// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface LayerToVerify {
  'layerId'?: (string);
  'diffId'?: (string);
  'bytes'?: (number | string | Long);
  /**
   * A name of each image it is part of.
   */
  'images'?: (string)[];
}

export interface LayerToVerify__Output {
  'layerId': (string);
  'diffId': (string);
  'bytes': (number);
  /**
   * A name of each image it is part of.
   */
  'images': (string)[];
}
