// Original file: proto/windlass/v1/windlass.proto


export interface InfoResponse {
  'version'?: (string);
  'nodeVersion'?: (string);
  'root'?: (string);
  'pid'?: (number);
  'platform'?: (string);
}

export interface InfoResponse__Output {
  'version': (string);
  'nodeVersion': (string);
  'root': (string);
  'pid': (number);
  'platform': (string);
}
