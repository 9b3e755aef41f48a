// Original file: proto/windlass/v1/windlass.proto


export interface Difference {
  /**
   * Relative to the layer's root; bytes that are not UTF-8 are written \xNN.
   */
  'path'?: (string);
  /**
   * "missing", "added", "type", "size", "content", "unreadable", "mode", "owner", "mtime", "target", "device", "xattr", "hardlink",
   * "opaque" or "tar-split".
   */
  'kind'?: (string);
  'detail'?: (string);
}

export interface Difference__Output {
  /**
   * Relative to the layer's root; bytes that are not UTF-8 are written \xNN.
   */
  'path': (string);
  /**
   * "missing", "added", "type", "size", "content", "unreadable", "mode", "owner", "mtime", "target", "device", "xattr", "hardlink",
   * "opaque" or "tar-split".
   */
  'kind': (string);
  'detail': (string);
}
