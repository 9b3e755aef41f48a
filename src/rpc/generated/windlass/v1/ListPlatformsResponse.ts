// Original file: proto/windlass/v1/windlass.proto

import type { Descriptor as _windlass_v1_Descriptor, Descriptor__Output as _windlass_v1_Descriptor__Output } from '../../windlass/v1/Descriptor.ts';
import type { OfferedPlatform as _windlass_v1_OfferedPlatform, OfferedPlatform__Output as _windlass_v1_OfferedPlatform__Output } from '../../windlass/v1/OfferedPlatform.ts';

export interface ListPlatformsResponse {
  'reference'?: (string);
  'host'?: (string);
  'root'?: (_windlass_v1_Descriptor | null);
  /**
   * This node's own.
   */
  'nodePlatform'?: (string);
  /**
   * In the order of the index; one where there is no index.
   */
  'platforms'?: (_windlass_v1_OfferedPlatform)[];
  /**
   * Manifests about images, such as provenance, which are none.
   */
  'attestations'?: (number);
}

export interface ListPlatformsResponse__Output {
  'reference': (string);
  'host': (string);
  'root': (_windlass_v1_Descriptor__Output | null);
  /**
   * This node's own.
   */
  'nodePlatform': (string);
  /**
   * In the order of the index; one where there is no index.
   */
  'platforms': (_windlass_v1_OfferedPlatform__Output)[];
  /**
   * Manifests about images, such as provenance, which are none.
   */
  'attestations': (number);
}
