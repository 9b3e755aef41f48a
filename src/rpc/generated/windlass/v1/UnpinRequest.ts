// Original file: proto/windlass/v1/windlass.proto


export interface UnpinRequest {
  'image'?: (string);
  /**
   * Empty: everybody's.
   */
  'owner'?: (string);
}

export interface UnpinRequest__Output {
  'image': (string);
  /**
   * Empty: everybody's.
   */
  'owner': (string);
}
