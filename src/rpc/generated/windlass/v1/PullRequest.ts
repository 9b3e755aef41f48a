// Original file: proto/windlass/v1/windlass.proto

import type { Credentials as _windlass_v1_Credentials, Credentials__Output as _windlass_v1_Credentials__Output } from '../../windlass/v1/Credentials.ts';
import type { Long } from '@grpc/proto-loader';

export interface PullRequest {
  /**
   * As a person types it; "" is INVALID_ARGUMENT.
   */
  'reference'?: (string);
  'credentials'?: (_windlass_v1_Credentials | null);
  /**
   * os/architecture[/variant]; empty for the node's own.
   */
  'platform'?: (string);
  /**
   * The image may go by itself after this time, where it was not here without one before; 0: it stays, whatever was said before. Beside
   * containerd alone, else INVALID_ARGUMENT; a minute at least.
   */
  'expiresAfterMs'?: (number | string | Long);
}

export interface PullRequest__Output {
  /**
   * As a person types it; "" is INVALID_ARGUMENT.
   */
  'reference': (string);
  'credentials': (_windlass_v1_Credentials__Output | null);
  /**
   * os/architecture[/variant]; empty for the node's own.
   */
  'platform': (string);
  /**
   * The image may go by itself after this time, where it was not here without one before; 0: it stays, whatever was said before. Beside
   * containerd alone, else INVALID_ARGUMENT; a minute at least.
   */
  'expiresAfterMs': (number);
}
