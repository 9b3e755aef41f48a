// Original file: proto/runtime/v1/api.proto

import type { Int64Value as _runtime_v1_Int64Value, Int64Value__Output as _runtime_v1_Int64Value__Output } from '../../runtime/v1/Int64Value.ts';
import type { ImageSpec as _runtime_v1_ImageSpec, ImageSpec__Output as _runtime_v1_ImageSpec__Output } from '../../runtime/v1/ImageSpec.ts';
import type { Long } from '@grpc/proto-loader';

export interface Image {
  /**
   * sha256: and the digest of the image config; equal to PullImageResponse.image_ref.
   */
  'id'?: (string);
  /**
   * host/repository:tag. Empty for an image pulled by digest.
   */
  'repoTags'?: (string)[];
  /**
   * host/repository@sha256:digest of what was pulled, an index where there is one.
   */
  'repoDigests'?: (string)[];
  /**
   * Bytes of config, manifest and compressed layers.
   */
  'size'?: (number | string | Long);
  /**
   * The user of the image config: a number here, a name in `username`, neither where the config names none.
   */
  'uid'?: (_runtime_v1_Int64Value | null);
  'username'?: (string);
  'spec'?: (_runtime_v1_ImageSpec | null);
  /**
   * Pinned images are passed over by kubelet's garbage collection.
   */
  'pinned'?: (boolean);
}

export interface Image__Output {
  /**
   * sha256: and the digest of the image config; equal to PullImageResponse.image_ref.
   */
  'id': (string);
  /**
   * host/repository:tag. Empty for an image pulled by digest.
   */
  'repoTags': (string)[];
  /**
   * host/repository@sha256:digest of what was pulled, an index where there is one.
   */
  'repoDigests': (string)[];
  /**
   * Bytes of config, manifest and compressed layers.
   */
  'size': (number);
  /**
   * The user of the image config: a number here, a name in `username`, neither where the config names none.
   */
  'uid': (_runtime_v1_Int64Value__Output | null);
  'username': (string);
  'spec': (_runtime_v1_ImageSpec__Output | null);
  /**
   * Pinned images are passed over by kubelet's garbage collection.
   */
  'pinned': (boolean);
}
