// Original file: proto/windlass/v1/windlass.proto


export interface RepairFailed {
  'image'?: (string);
  'reason'?: (string);
}

export interface RepairFailed__Output {
  'image': (string);
  'reason': (string);
}
