// Original file: proto/windlass/v1/windlass.proto

import type { Descriptor as _windlass_v1_Descriptor, Descriptor__Output as _windlass_v1_Descriptor__Output } from '../../windlass/v1/Descriptor.ts';
import type { PlannedLayer as _windlass_v1_PlannedLayer, PlannedLayer__Output as _windlass_v1_PlannedLayer__Output } from '../../windlass/v1/PlannedLayer.ts';
import type { Long } from '@grpc/proto-loader';

export interface Plan {
  'reference'?: (string);
  'platform'?: (string);
  'root'?: (_windlass_v1_Descriptor | null);
  'manifest'?: (_windlass_v1_Descriptor | null);
  'imageId'?: (string);
  'layers'?: (_windlass_v1_PlannedLayer)[];
  'present'?: (boolean);
  'bytesToFetch'?: (number | string | Long);
  'bytesHere'?: (number | string | Long);
}

export interface Plan__Output {
  'reference': (string);
  'platform': (string);
  'root': (_windlass_v1_Descriptor__Output | null);
  'manifest': (_windlass_v1_Descriptor__Output | null);
  'imageId': (string);
  'layers': (_windlass_v1_PlannedLayer__Output)[];
  'present': (boolean);
  'bytesToFetch': (number);
  'bytesHere': (number);
}
