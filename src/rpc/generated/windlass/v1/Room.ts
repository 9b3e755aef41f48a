// Original file: proto/windlass/v1/windlass.proto


/**
 * There is room for its layers.
 */
export interface Room {
  'ms'?: (number | string);
}

/**
 * There is room for its layers.
 */
export interface Room__Output {
  'ms': (number);
}
