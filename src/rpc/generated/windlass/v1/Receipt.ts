// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface Receipt {
  /**
   * A hash that says the same of the same login on this node alone; "anonymous" for nobody.
   */
  'identity'?: (string);
  /**
   * host/repository@digest.
   */
  'name'?: (string);
  /**
   * The mirror or registry that said so.
   */
  'host'?: (string);
  'atMs'?: (number | string | Long);
}

export interface Receipt__Output {
  /**
   * A hash that says the same of the same login on this node alone; "anonymous" for nobody.
   */
  'identity': (string);
  /**
   * host/repository@digest.
   */
  'name': (string);
  /**
   * The mirror or registry that said so.
   */
  'host': (string);
  'atMs': (number);
}
