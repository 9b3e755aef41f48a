// Original file: proto/windlass/v1/windlass.proto


export interface Hold {
  /**
   * "name", "pin", "image", "pull", "read", "mount", "store" or "unknown".
   */
  'kind'?: (string);
  'detail'?: (string);
}

export interface Hold__Output {
  /**
   * "name", "pin", "image", "pull", "read", "mount", "store" or "unknown".
   */
  'kind': (string);
  'detail': (string);
}
