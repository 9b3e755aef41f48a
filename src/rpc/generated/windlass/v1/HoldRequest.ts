// Original file: proto/windlass/v1/windlass.proto


export interface HoldRequest {
  /**
   * Id (a prefix will do), tag or digest reference.
   */
  'image'?: (string);
}

export interface HoldRequest__Output {
  /**
   * Id (a prefix will do), tag or digest reference.
   */
  'image': (string);
}
