// Original file: proto/windlass/v1/windlass.proto


export interface Done {
  'imageId'?: (string);
  'ms'?: (number | string);
  /**
   * One sentence that names the bottleneck.
   */
  'verdict'?: (string);
}

export interface Done__Output {
  'imageId': (string);
  'ms': (number);
  /**
   * One sentence that names the bottleneck.
   */
  'verdict': (string);
}
