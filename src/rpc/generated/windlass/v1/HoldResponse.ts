// Original file: proto/windlass/v1/windlass.proto

import type { LayerFiles as _windlass_v1_LayerFiles, LayerFiles__Output as _windlass_v1_LayerFiles__Output } from '../../windlass/v1/LayerFiles.ts';

export interface HoldResponse {
  'id'?: (string);
  /**
   * The one it was asked for by, else all.
   */
  'tags'?: (string)[];
  'config'?: (Buffer | Uint8Array | string);
  /**
   * Base first.
   */
  'layers'?: (_windlass_v1_LayerFiles)[];
}

export interface HoldResponse__Output {
  'id': (string);
  /**
   * The one it was asked for by, else all.
   */
  'tags': (string)[];
  'config': (Buffer);
  /**
   * Base first.
   */
  'layers': (_windlass_v1_LayerFiles__Output)[];
}
