// Original file: proto/windlass/v1/windlass.proto

import type { LayerInFlight as _windlass_v1_LayerInFlight, LayerInFlight__Output as _windlass_v1_LayerInFlight__Output } from '../../windlass/v1/LayerInFlight.ts';
import type { Long } from '@grpc/proto-loader';

export interface PullInFlight {
  'id'?: (string);
  'reference'?: (string);
  'platform'?: (string);
  /**
   * "cri", "control", "cli", "prepull": one for each waiting caller.
   */
  'clients'?: (string)[];
  /**
   * Unix time in milliseconds.
   */
  'startedAtMs'?: (number | string | Long);
  /**
   * "queued", "resolving", "pulling" or "sealing".
   */
  'phase'?: (string);
  'layers'?: (_windlass_v1_LayerInFlight)[];
}

export interface PullInFlight__Output {
  'id': (string);
  'reference': (string);
  'platform': (string);
  /**
   * "cri", "control", "cli", "prepull": one for each waiting caller.
   */
  'clients': (string)[];
  /**
   * Unix time in milliseconds.
   */
  'startedAtMs': (number);
  /**
   * "queued", "resolving", "pulling" or "sealing".
   */
  'phase': (string);
  'layers': (_windlass_v1_LayerInFlight__Output)[];
}
