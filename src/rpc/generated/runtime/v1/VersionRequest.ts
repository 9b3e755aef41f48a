// Original file: proto/runtime/v1/api.proto


export interface VersionRequest {
  /**
   * The version of the kubelet API the caller speaks.
   */
  'version'?: (string);
}

export interface VersionRequest__Output {
  /**
   * The version of the kubelet API the caller speaks.
   */
  'version': (string);
}
