// Original file: proto/windlass/v1/windlass.proto

import type { Long } from '@grpc/proto-loader';

export interface QueuedImage {
  'list'?: (string);
  /**
   * Normal form.
   */
  'reference'?: (string);
  'priority'?: (number);
  /**
   * "waiting", "pulling", "here" or "failed".
   */
  'state'?: (string);
  /**
   * Unix time in milliseconds: pulling since then, here since then; else 0.
   */
  'sinceMs'?: (number | string | Long);
  /**
   * The next attempt; with imagePullPolicy Always, the registry is asked again then. 0: as soon as it may, or never.
   */
  'nextMs'?: (number | string | Long);
  /**
   * Why the last attempt failed, and how many in a row have; empty after one that did not.
   */
  'reason'?: (string);
  'attempts'?: (number);
  /**
   * Where it is here: its id, and whether kubelet's collection leaves it.
   */
  'imageId'?: (string);
  'isProtected'?: (boolean);
}

export interface QueuedImage__Output {
  'list': (string);
  /**
   * Normal form.
   */
  'reference': (string);
  'priority': (number);
  /**
   * "waiting", "pulling", "here" or "failed".
   */
  'state': (string);
  /**
   * Unix time in milliseconds: pulling since then, here since then; else 0.
   */
  'sinceMs': (number);
  /**
   * The next attempt; with imagePullPolicy Always, the registry is asked again then. 0: as soon as it may, or never.
   */
  'nextMs': (number);
  /**
   * Why the last attempt failed, and how many in a row have; empty after one that did not.
   */
  'reason': (string);
  'attempts': (number);
  /**
   * Where it is here: its id, and whether kubelet's collection leaves it.
   */
  'imageId': (string);
  'isProtected': (boolean);
}
