// Original file: proto/windlass/v1/windlass.proto


export interface InfoRequest {
}

export interface InfoRequest__Output {
}
