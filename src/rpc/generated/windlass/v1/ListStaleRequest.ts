// Original file: proto/windlass/v1/windlass.proto


export interface ListStaleRequest {
}

export interface ListStaleRequest__Output {
}
