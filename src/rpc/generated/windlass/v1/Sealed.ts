// Original file: proto/windlass/v1/windlass.proto


export interface Sealed {
  'syncMs'?: (number | string);
  'publishMs'?: (number | string);
}

export interface Sealed__Output {
  'syncMs': (number);
  'publishMs': (number);
}
