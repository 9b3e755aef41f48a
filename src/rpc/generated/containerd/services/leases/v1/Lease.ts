// Original file: proto/containerd/v1/leases.proto


export interface Lease {
  'id'?: (string);
  'labels'?: ({[key: string]: string});
}

export interface Lease__Output {
  'id': (string);
  'labels': ({[key: string]: string});
}
