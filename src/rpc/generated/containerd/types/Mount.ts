// Original file: proto/containerd/v1/types.proto


/**
 * What mount(2) would be given; containerd describes a snapshot so and leaves the mounting to its client.
 */
export interface Mount {
  /**
   * "overlay", or "bind" for a snapshot without layers below.
   */
  'type'?: (string);
  'source'?: (string);
  'options'?: (string)[];
}

/**
 * What mount(2) would be given; containerd describes a snapshot so and leaves the mounting to its client.
 */
export interface Mount__Output {
  /**
   * "overlay", or "bind" for a snapshot without layers below.
   */
  'type': (string);
  'source': (string);
  'options': (string)[];
}
