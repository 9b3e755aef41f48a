// Original file: proto/windlass/v1/windlass.proto

import type { PullInFlight as _windlass_v1_PullInFlight, PullInFlight__Output as _windlass_v1_PullInFlight__Output } from '../../windlass/v1/PullInFlight.ts';
import type { DeclaredQueue as _windlass_v1_DeclaredQueue, DeclaredQueue__Output as _windlass_v1_DeclaredQueue__Output } from '../../windlass/v1/DeclaredQueue.ts';

export interface ListQueueResponse {
  /**
   * Those ahead of any pod too. None where nothing can be pulled here just now.
   */
  'pulls'?: (_windlass_v1_PullInFlight)[];
  /**
   * Unset where the daemon has no directory of lists.
   */
  'declared'?: (_windlass_v1_DeclaredQueue | null);
}

export interface ListQueueResponse__Output {
  /**
   * Those ahead of any pod too. None where nothing can be pulled here just now.
   */
  'pulls': (_windlass_v1_PullInFlight__Output)[];
  /**
   * Unset where the daemon has no directory of lists.
   */
  'declared': (_windlass_v1_DeclaredQueue__Output | null);
}
