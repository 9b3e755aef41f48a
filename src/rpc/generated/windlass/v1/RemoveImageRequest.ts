// Original file: proto/windlass/v1/windlass.proto


export interface RemoveImageRequest {
  'image'?: (string);
}

export interface RemoveImageRequest__Output {
  'image': (string);
}
