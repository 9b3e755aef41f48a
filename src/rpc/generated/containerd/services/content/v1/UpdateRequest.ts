// Original file: proto/containerd/v1/content.proto

import type { Info as _containerd_services_content_v1_Info, Info__Output as _containerd_services_content_v1_Info__Output } from '../../../../containerd/services/content/v1/Info.ts';
import type { FieldMask as _google_protobuf_FieldMask, FieldMask__Output as _google_protobuf_FieldMask__Output } from '../../../../google/protobuf/FieldMask.ts';

export interface UpdateRequest {
  'info'?: (_containerd_services_content_v1_Info | null);
  /**
   * "labels.KEY" changes one label and leaves the others.
   */
  'updateMask'?: (_google_protobuf_FieldMask | null);
}

export interface UpdateRequest__Output {
  'info': (_containerd_services_content_v1_Info__Output | null);
  /**
   * "labels.KEY" changes one label and leaves the others.
   */
  'updateMask': (_google_protobuf_FieldMask__Output | null);
}
