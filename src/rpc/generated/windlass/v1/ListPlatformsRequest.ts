// Original file: proto/windlass/v1/windlass.proto

import type { Credentials as _windlass_v1_Credentials, Credentials__Output as _windlass_v1_Credentials__Output } from '../../windlass/v1/Credentials.ts';

export interface ListPlatformsRequest {
  'name'?: (string);
  'credentials'?: (_windlass_v1_Credentials | null);
  'local'?: (boolean);
}

export interface ListPlatformsRequest__Output {
  'name': (string);
  'credentials': (_windlass_v1_Credentials__Output | null);
  'local': (boolean);
}
