// Original file: proto/containerd/v1/leases.proto


export interface Resource {
  'id'?: (string);
  /**
   * "content", or "snapshots/" and the snapshotter's name.
   */
  'type'?: (string);
}

export interface Resource__Output {
  'id': (string);
  /**
   * "content", or "snapshots/" and the snapshotter's name.
   */
  'type': (string);
}
