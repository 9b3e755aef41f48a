// Original file: proto/windlass/v1/windlass.proto


export interface KeptImage {
  'id'?: (string);
  'names'?: (string)[];
  /**
   * "pinned", "in-use", "young" or "not-needed".
   */
  'reason'?: (string);
  'detail'?: (string);
}

export interface KeptImage__Output {
  'id': (string);
  'names': (string)[];
  /**
   * "pinned", "in-use", "young" or "not-needed".
   */
  'reason': (string);
  'detail': (string);
}
