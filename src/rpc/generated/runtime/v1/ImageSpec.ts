// Original file: proto/runtime/v1/api.proto


export interface ImageSpec {
  /**
   * A reference as a person types it, or an image id.
   */
  'image'?: (string);
  'annotations'?: ({[key: string]: string});
  /**
   * What the pod's author wrote, before kubelet changed it.
   */
  'userSpecifiedImage'?: (string);
  /**
   * The runtime handler to pull for; empty for the node's default.
   */
  'runtimeHandler'?: (string);
  'imageRef'?: (string);
}

export interface ImageSpec__Output {
  /**
   * A reference as a person types it, or an image id.
   */
  'image': (string);
  'annotations': ({[key: string]: string});
  /**
   * What the pod's author wrote, before kubelet changed it.
   */
  'userSpecifiedImage': (string);
  /**
   * The runtime handler to pull for; empty for the node's default.
   */
  'runtimeHandler': (string);
  'imageRef': (string);
}
