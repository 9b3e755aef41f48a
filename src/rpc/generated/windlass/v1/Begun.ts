// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Which pull this is: the first event, also of one that was joined.
 */
export interface Begun {
  /**
   * As the log and the history have it.
   */
  'id'?: (string);
  /**
   * "cri", "control", "cli" or "prepull": who asked first.
   */
  'client'?: (string);
  'startedAtMs'?: (number | string | Long);
  /**
   * Normal form.
   */
  'reference'?: (string);
}

/**
 * Which pull this is: the first event, also of one that was joined.
 */
export interface Begun__Output {
  /**
   * As the log and the history have it.
   */
  'id': (string);
  /**
   * "cri", "control", "cli" or "prepull": who asked first.
   */
  'client': (string);
  'startedAtMs': (number);
  /**
   * Normal form.
   */
  'reference': (string);
}
