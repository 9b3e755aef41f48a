// Original file: proto/windlass/v1/windlass.proto

import type { QueuedImage as _windlass_v1_QueuedImage, QueuedImage__Output as _windlass_v1_QueuedImage__Output } from '../../windlass/v1/QueuedImage.ts';

export interface DeclaredQueue {
  /**
   * Names of the lists, those without images too.
   */
  'lists'?: (string)[];
  /**
   * First what goes first.
   */
  'images'?: (_windlass_v1_QueuedImage)[];
  /**
   * What is wrong with the lists' files, one sentence each.
   */
  'problems'?: (string)[];
  /**
   * Why none begins just now that waits for nothing else; empty where nothing is in the way.
   */
  'held'?: (string);
}

export interface DeclaredQueue__Output {
  /**
   * Names of the lists, those without images too.
   */
  'lists': (string)[];
  /**
   * First what goes first.
   */
  'images': (_windlass_v1_QueuedImage__Output)[];
  /**
   * What is wrong with the lists' files, one sentence each.
   */
  'problems': (string)[];
  /**
   * Why none begins just now that waits for nothing else; empty where nothing is in the way.
   */
  'held': (string);
}
