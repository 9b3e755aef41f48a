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
  /**
   * The worker without bytes to work on; what its work went into.
   */
  'waitMs'?: (number | string);
  'inflateMs'?: (number | string);
  'hashMs'?: (number | string);
  'writeMs'?: (number | string);
  /**
   * Waiting, unpacked, for the layer below; being given its place.
   */
  'belowMs'?: (number | string);
  'commitMs'?: (number | string);
  /**
   * Until the worker it was given began, which may have had to be started.
   */
  'startMs'?: (number | string);
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
  /**
   * The worker without bytes to work on; what its work went into.
   */
  'waitMs': (number);
  'inflateMs': (number);
  'hashMs': (number);
  'writeMs': (number);
  /**
   * Waiting, unpacked, for the layer below; being given its place.
   */
  'belowMs': (number);
  'commitMs': (number);
  /**
   * Until the worker it was given began, which may have had to be started.
   */
  'startMs': (number);
}
