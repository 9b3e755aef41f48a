// Original file: proto/windlass/v1/windlass.proto


export interface SetPassthroughRequest {
  'on'?: (boolean);
  /**
   * For the log and for whoever asks later.
   */
  'reason'?: (string);
}

export interface SetPassthroughRequest__Output {
  'on': (boolean);
  /**
   * For the log and for whoever asks later.
   */
  'reason': (string);
}
