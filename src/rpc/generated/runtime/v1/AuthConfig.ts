// Original file: proto/runtime/v1/api.proto


export interface AuthConfig {
  'username'?: (string);
  'password'?: (string);
  /**
   * base64 of "username:password".
   */
  'auth'?: (string);
  /**
   * The registry these are for; empty for the one the reference names.
   */
  'serverAddress'?: (string);
  /**
   * An OAuth2 refresh token.
   */
  'identityToken'?: (string);
  /**
   * A bearer token, sent as it is.
   */
  'registryToken'?: (string);
}

export interface AuthConfig__Output {
  'username': (string);
  'password': (string);
  /**
   * base64 of "username:password".
   */
  'auth': (string);
  /**
   * The registry these are for; empty for the one the reference names.
   */
  'serverAddress': (string);
  /**
   * An OAuth2 refresh token.
   */
  'identityToken': (string);
  /**
   * A bearer token, sent as it is.
   */
  'registryToken': (string);
}
