// Original file: proto/windlass/v1/windlass.proto


export interface Credentials {
  'username'?: (string);
  'password'?: (string);
  'identityToken'?: (string);
  'registryToken'?: (string);
}

export interface Credentials__Output {
  'username': (string);
  'password': (string);
  'identityToken': (string);
  'registryToken': (string);
}
