// Original file: proto/windlass/v1/windlass.proto

import type { ReportedLayer as _windlass_v1_ReportedLayer, ReportedLayer__Output as _windlass_v1_ReportedLayer__Output } from '../../windlass/v1/ReportedLayer.ts';
import type { UnfinishedLayer as _windlass_v1_UnfinishedLayer, UnfinishedLayer__Output as _windlass_v1_UnfinishedLayer__Output } from '../../windlass/v1/UnfinishedLayer.ts';
import type { Long } from '@grpc/proto-loader';

export interface PullReport {
  'id'?: (string);
  'reference'?: (string);
  /**
   * "cri", "control", "cli" or "prepull": who asked first.
   */
  'client'?: (string);
  'startedAtMs'?: (number | string | Long);
  'ms'?: (number | string);
  'queuedMs'?: (number | string);
  /**
   * Empty where it ended before they were known: the platform, who answered, the image.
   */
  'platform'?: (string);
  'host'?: (string);
  'imageId'?: (string);
  'resolveMs'?: (number | string);
  'tokenMs'?: (number | string);
  'layers'?: (_windlass_v1_ReportedLayer)[];
  /**
   * With those that did not arrive.
   */
  'layerCount'?: (number);
  'syncMs'?: (number | string);
  'publishMs'?: (number | string);
  /**
   * One sentence: the bottleneck, or what it failed of.
   */
  'verdict'?: (string);
  /**
   * Empty where it did not fail.
   */
  'failureKind'?: (string);
  'failure'?: (string);
  /**
   * Making sure of room for the layers.
   */
  'roomMs'?: (number | string);
  /**
   * Those on their way when it failed.
   */
  'unfinished'?: (_windlass_v1_UnfinishedLayer)[];
  /**
   * The failure in a few words; empty where nobody knows.
   */
  'failureCause'?: (string);
}

export interface PullReport__Output {
  'id': (string);
  'reference': (string);
  /**
   * "cri", "control", "cli" or "prepull": who asked first.
   */
  'client': (string);
  'startedAtMs': (number);
  'ms': (number);
  'queuedMs': (number);
  /**
   * Empty where it ended before they were known: the platform, who answered, the image.
   */
  'platform': (string);
  'host': (string);
  'imageId': (string);
  'resolveMs': (number);
  'tokenMs': (number);
  'layers': (_windlass_v1_ReportedLayer__Output)[];
  /**
   * With those that did not arrive.
   */
  'layerCount': (number);
  'syncMs': (number);
  'publishMs': (number);
  /**
   * One sentence: the bottleneck, or what it failed of.
   */
  'verdict': (string);
  /**
   * Empty where it did not fail.
   */
  'failureKind': (string);
  'failure': (string);
  /**
   * Making sure of room for the layers.
   */
  'roomMs': (number);
  /**
   * Those on their way when it failed.
   */
  'unfinished': (_windlass_v1_UnfinishedLayer__Output)[];
  /**
   * The failure in a few words; empty where nobody knows.
   */
  'failureCause': (string);
}
