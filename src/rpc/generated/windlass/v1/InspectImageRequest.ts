// Original file: proto/windlass/v1/windlass.proto


export interface InspectImageRequest {
  /**
   * Id (a prefix will do), tag or digest reference.
   */
  'image'?: (string);
}

export interface InspectImageRequest__Output {
  /**
   * Id (a prefix will do), tag or digest reference.
   */
  'image': (string);
}
