// Original file: proto/windlass/v1/windlass.proto


export interface ListQueueRequest {
}

export interface ListQueueRequest__Output {
}
