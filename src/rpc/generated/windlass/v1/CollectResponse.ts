// Original file: proto/windlass/v1/windlass.proto

import type { Disk as _windlass_v1_Disk, Disk__Output as _windlass_v1_Disk__Output } from '../../windlass/v1/Disk.ts';
import type { CollectedImage as _windlass_v1_CollectedImage, CollectedImage__Output as _windlass_v1_CollectedImage__Output } from '../../windlass/v1/CollectedImage.ts';
import type { KeptImage as _windlass_v1_KeptImage, KeptImage__Output as _windlass_v1_KeptImage__Output } from '../../windlass/v1/KeptImage.ts';
import type { HeldThing as _windlass_v1_HeldThing, HeldThing__Output as _windlass_v1_HeldThing__Output } from '../../windlass/v1/HeldThing.ts';
import type { Long } from '@grpc/proto-loader';

export interface CollectResponse {
  'disk'?: (_windlass_v1_Disk | null);
  'images'?: (_windlass_v1_CollectedImage)[];
  'kept'?: (_windlass_v1_KeptImage)[];
  /**
   * With those of the images; the bytes they take up on disk.
   */
  'layers'?: (number | string | Long);
  'bytes'?: (number | string | Long);
  /**
   * Layers that no image needs, and something else holds; as in WhyResponse.
   */
  'keptLayers'?: (_windlass_v1_HeldThing)[];
}

export interface CollectResponse__Output {
  'disk': (_windlass_v1_Disk__Output | null);
  'images': (_windlass_v1_CollectedImage__Output)[];
  'kept': (_windlass_v1_KeptImage__Output)[];
  /**
   * With those of the images; the bytes they take up on disk.
   */
  'layers': (number);
  'bytes': (number);
  /**
   * Layers that no image needs, and something else holds; as in WhyResponse.
   */
  'keptLayers': (_windlass_v1_HeldThing__Output)[];
}
