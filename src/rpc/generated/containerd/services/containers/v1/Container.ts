// Original file: proto/containerd/v1/containers.proto


export interface Container {
  'id'?: (string);
  /**
   * The name of an image record.
   */
  'image'?: (string);
}

export interface Container__Output {
  'id': (string);
  /**
   * The name of an image record.
   */
  'image': (string);
}
