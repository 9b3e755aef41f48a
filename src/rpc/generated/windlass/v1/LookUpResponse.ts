// Original file: proto/windlass/v1/windlass.proto

import type { Document as _windlass_v1_Document, Document__Output as _windlass_v1_Document__Output } from '../../windlass/v1/Document.ts';

export interface LookUpResponse {
  /**
   * Normal form; an image's id where it was asked for by that.
   */
  'reference'?: (string);
  /**
   * Who gave the documents.
   */
  'host'?: (string);
  /**
   * What the reference names.
   */
  'root'?: (_windlass_v1_Document | null);
  /**
   * Both unset unless `image` was asked for.
   */
  'manifest'?: (_windlass_v1_Document | null);
  'config'?: (_windlass_v1_Document | null);
}

export interface LookUpResponse__Output {
  /**
   * Normal form; an image's id where it was asked for by that.
   */
  'reference': (string);
  /**
   * Who gave the documents.
   */
  'host': (string);
  /**
   * What the reference names.
   */
  'root': (_windlass_v1_Document__Output | null);
  /**
   * Both unset unless `image` was asked for.
   */
  'manifest': (_windlass_v1_Document__Output | null);
  'config': (_windlass_v1_Document__Output | null);
}
