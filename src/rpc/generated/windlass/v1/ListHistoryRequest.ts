// Original file: proto/windlass/v1/windlass.proto


export interface ListHistoryRequest {
  /**
   * As a person types it; without a tag, of all of its repository. Empty: any.
   */
  'reference'?: (string);
  /**
   * Of one pull; empty: any. INVALID_ARGUMENT where there is none.
   */
  'id'?: (string);
  /**
   * 0: all that are kept.
   */
  'limit'?: (number);
}

export interface ListHistoryRequest__Output {
  /**
   * As a person types it; without a tag, of all of its repository. Empty: any.
   */
  'reference': (string);
  /**
   * Of one pull; empty: any. INVALID_ARGUMENT where there is none.
   */
  'id': (string);
  /**
   * 0: all that are kept.
   */
  'limit': (number);
}
