// Original file: proto/windlass/v1/windlass.proto


/**
 * The container runtime whose images these are.
 */
export interface Runtime {
  /**
   * "containerd" or "crio".
   */
  'kind'?: (string);
  'socket'?: (string);
  /**
   * Empty while it has not answered.
   */
  'version'?: (string);
  /**
   * Why pulls are all its own, one sentence each.
   */
  'obstacles'?: (string)[];
  /**
   * Why the daemon's own way of pulling is not open just now; empty where it is.
   */
  'missing'?: (string);
  /**
   * Why nobody can pull just now: it does not listen. Empty where it does.
   */
  'down'?: (string);
}

/**
 * The container runtime whose images these are.
 */
export interface Runtime__Output {
  /**
   * "containerd" or "crio".
   */
  'kind': (string);
  'socket': (string);
  /**
   * Empty while it has not answered.
   */
  'version': (string);
  /**
   * Why pulls are all its own, one sentence each.
   */
  'obstacles': (string)[];
  /**
   * Why the daemon's own way of pulling is not open just now; empty where it is.
   */
  'missing': (string);
  /**
   * Why nobody can pull just now: it does not listen. Empty where it does.
   */
  'down': (string);
}
