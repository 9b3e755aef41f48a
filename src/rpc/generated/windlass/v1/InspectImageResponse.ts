// Original file: proto/windlass/v1/windlass.proto

import type { Descriptor as _windlass_v1_Descriptor, Descriptor__Output as _windlass_v1_Descriptor__Output } from '../../windlass/v1/Descriptor.ts';
import type { ImageLayer as _windlass_v1_ImageLayer, ImageLayer__Output as _windlass_v1_ImageLayer__Output } from '../../windlass/v1/ImageLayer.ts';
import type { Pin as _windlass_v1_Pin, Pin__Output as _windlass_v1_Pin__Output } from '../../windlass/v1/Pin.ts';
import type { Receipt as _windlass_v1_Receipt, Receipt__Output as _windlass_v1_Receipt__Output } from '../../windlass/v1/Receipt.ts';
import type { Long } from '@grpc/proto-loader';

export interface InspectImageResponse {
  'id'?: (string);
  'tags'?: (string)[];
  'digests'?: (string)[];
  'manifest'?: (_windlass_v1_Descriptor | null);
  'platform'?: (string);
  'size'?: (number | string | Long);
  'pulledAtMs'?: (number | string | Long);
  'pinned'?: (boolean);
  /**
   * The documents as the registry gave them.
   */
  'configJson'?: (Buffer | Uint8Array | string);
  'manifestJson'?: (Buffer | Uint8Array | string);
  /**
   * Base first.
   */
  'layers'?: (_windlass_v1_ImageLayer)[];
  /**
   * The directory `ImageLayer.short` is relative to.
   */
  'overlayDir'?: (string);
  'usedAtMs'?: (number | string | Long);
  /**
   * Those that have time left.
   */
  'pins'?: (_windlass_v1_Pin)[];
  /**
   * Who pulled it, newest first.
   */
  'receipts'?: (_windlass_v1_Receipt)[];
  /**
   * From here on none is missing; 0: what came before is lost, or was never written down.
   */
  'receiptsSinceMs'?: (number | string | Long);
  /**
   * From then on the runtime may remove it by itself; 0: it stays.
   */
  'expiresAtMs'?: (number | string | Long);
}

export interface InspectImageResponse__Output {
  'id': (string);
  'tags': (string)[];
  'digests': (string)[];
  'manifest': (_windlass_v1_Descriptor__Output | null);
  'platform': (string);
  'size': (number);
  'pulledAtMs': (number);
  'pinned': (boolean);
  /**
   * The documents as the registry gave them.
   */
  'configJson': (Buffer);
  'manifestJson': (Buffer);
  /**
   * Base first.
   */
  'layers': (_windlass_v1_ImageLayer__Output)[];
  /**
   * The directory `ImageLayer.short` is relative to.
   */
  'overlayDir': (string);
  'usedAtMs': (number);
  /**
   * Those that have time left.
   */
  'pins': (_windlass_v1_Pin__Output)[];
  /**
   * Who pulled it, newest first.
   */
  'receipts': (_windlass_v1_Receipt__Output)[];
  /**
   * From here on none is missing; 0: what came before is lost, or was never written down.
   */
  'receiptsSinceMs': (number);
  /**
   * From then on the runtime may remove it by itself; 0: it stays.
   */
  'expiresAtMs': (number);
}
