// Original file: proto/runtime/v1/api.proto

import type { PodSandboxMetadata as _runtime_v1_PodSandboxMetadata, PodSandboxMetadata__Output as _runtime_v1_PodSandboxMetadata__Output } from '../../runtime/v1/PodSandboxMetadata.ts';

/**
 * For which pod an image is pulled.
 */
export interface PodSandboxConfig {
  'metadata'?: (_runtime_v1_PodSandboxMetadata | null);
  /**
   * containerd picks the snapshotter by one of these.
   */
  'annotations'?: ({[key: string]: string});
}

/**
 * For which pod an image is pulled.
 */
export interface PodSandboxConfig__Output {
  'metadata': (_runtime_v1_PodSandboxMetadata__Output | null);
  /**
   * containerd picks the snapshotter by one of these.
   */
  'annotations': ({[key: string]: string});
}
