// Original file: proto/runtime/v1/api.proto


export interface RuntimeCondition {
  'type'?: (string);
  'status'?: (boolean);
  /**
   * One CamelCase word for machines, one sentence for people.
   */
  'reason'?: (string);
  'message'?: (string);
}

export interface RuntimeCondition__Output {
  'type': (string);
  'status': (boolean);
  /**
   * One CamelCase word for machines, one sentence for people.
   */
  'reason': (string);
  'message': (string);
}
