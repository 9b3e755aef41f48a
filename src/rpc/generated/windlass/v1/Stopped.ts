// Original file: proto/windlass/v1/windlass.proto

import type { UnfinishedLayer as _windlass_v1_UnfinishedLayer, UnfinishedLayer__Output as _windlass_v1_UnfinishedLayer__Output } from '../../windlass/v1/UnfinishedLayer.ts';

/**
 * The pull has failed: how far it had come. The status that ends the stream says why.
 */
export interface Stopped {
  'ms'?: (number | string);
  /**
   * The step that was under way, and for how long: "queued", "resolving", "room", "layers" or "sealing".
   */
  'step'?: (string);
  'stepMs'?: (number | string);
  'queuedMs'?: (number | string);
  'tokenMs'?: (number | string);
  /**
   * Those that were on their way.
   */
  'layers'?: (_windlass_v1_UnfinishedLayer)[];
  /**
   * The failure in a few words.
   */
  'cause'?: (string);
}

/**
 * The pull has failed: how far it had come. The status that ends the stream says why.
 */
export interface Stopped__Output {
  'ms': (number);
  /**
   * The step that was under way, and for how long: "queued", "resolving", "room", "layers" or "sealing".
   */
  'step': (string);
  'stepMs': (number);
  'queuedMs': (number);
  'tokenMs': (number);
  /**
   * Those that were on their way.
   */
  'layers': (_windlass_v1_UnfinishedLayer__Output)[];
  /**
   * The failure in a few words.
   */
  'cause': (string);
}
