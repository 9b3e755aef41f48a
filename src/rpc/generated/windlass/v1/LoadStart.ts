// Original file: proto/windlass/v1/windlass.proto

import type { Document as _windlass_v1_Document, Document__Output as _windlass_v1_Document__Output } from '../../windlass/v1/Document.ts';

export interface LoadStart {
  /**
   * What the image is to be called.
   */
  'reference'?: (string);
  /**
   * os/architecture[/variant]; empty for the node's own.
   */
  'platform'?: (string);
  /**
   * What messages call the archive.
   */
  'archive'?: (string);
  /**
   * The manifest or index the image begins with.
   */
  'root'?: (_windlass_v1_Document | null);
}

export interface LoadStart__Output {
  /**
   * What the image is to be called.
   */
  'reference': (string);
  /**
   * os/architecture[/variant]; empty for the node's own.
   */
  'platform': (string);
  /**
   * What messages call the archive.
   */
  'archive': (string);
  /**
   * The manifest or index the image begins with.
   */
  'root': (_windlass_v1_Document__Output | null);
}
