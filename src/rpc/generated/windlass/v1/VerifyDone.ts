// Original file: proto/windlass/v1/windlass.proto


export interface VerifyDone {
  'ms'?: (number | string);
}

export interface VerifyDone__Output {
  'ms': (number);
}
