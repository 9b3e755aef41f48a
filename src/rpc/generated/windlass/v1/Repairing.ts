// Original file: proto/windlass/v1/windlass.proto


export interface Repairing {
  'image'?: (string);
}

export interface Repairing__Output {
  'image': (string);
}
