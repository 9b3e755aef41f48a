// Original file: proto/containerd/v1/leases.proto


export interface DeleteRequest {
  'id'?: (string);
  /**
   * Waits for a garbage collection, which keeps all other writers waiting too.
   */
  'sync'?: (boolean);
}

export interface DeleteRequest__Output {
  'id': (string);
  /**
   * Waits for a garbage collection, which keeps all other writers waiting too.
   */
  'sync': (boolean);
}
