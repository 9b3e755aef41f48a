// Original file: proto/windlass/v1/windlass.proto

import type { Credentials as _windlass_v1_Credentials, Credentials__Output as _windlass_v1_Credentials__Output } from '../../windlass/v1/Credentials.ts';

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
}
