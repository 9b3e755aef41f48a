// Original file: proto/windlass/v1/windlass.proto

import type { HeldThing as _windlass_v1_HeldThing, HeldThing__Output as _windlass_v1_HeldThing__Output } from '../../windlass/v1/HeldThing.ts';
import type { Long } from '@grpc/proto-loader';

export interface RemoveImageResponse {
  /**
   * Empty when there was no such image.
   */
  'imageId'?: (string);
  'untagged'?: (string)[];
  'imageRemoved'?: (boolean);
  /**
   * Unset in a runtime's store, which collects when it sees fit.
   */
  'layersRemoved'?: (number | string | Long);
  'bytesFreed'?: (number | string | Long);
  /**
   * Layers that no image needs any more, and something else does: how many, and each with what holds it.
   */
  'layersKept'?: (number | string | Long);
  'kept'?: (_windlass_v1_HeldThing)[];
  '_layersRemoved'?: "layersRemoved";
  '_bytesFreed'?: "bytesFreed";
}

export interface RemoveImageResponse__Output {
  /**
   * Empty when there was no such image.
   */
  'imageId': (string);
  'untagged': (string)[];
  'imageRemoved': (boolean);
  /**
   * Unset in a runtime's store, which collects when it sees fit.
   */
  'layersRemoved'?: (number);
  'bytesFreed'?: (number);
  /**
   * Layers that no image needs any more, and something else does: how many, and each with what holds it.
   */
  'layersKept': (number);
  'kept': (_windlass_v1_HeldThing__Output)[];
  '_layersRemoved'?: "layersRemoved";
  '_bytesFreed'?: "bytesFreed";
}
