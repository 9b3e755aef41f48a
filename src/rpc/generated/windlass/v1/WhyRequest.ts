// Original file: proto/windlass/v1/windlass.proto


export interface WhyRequest {
  /**
   * What names an image, or the digest (six digits of it will do) of a layer, a blob or a document.
   */
  'name'?: (string);
}

export interface WhyRequest__Output {
  /**
   * What names an image, or the digest (six digits of it will do) of a layer, a blob or a document.
   */
  'name': (string);
}
