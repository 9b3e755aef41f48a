// Original file: proto/windlass/v1/windlass.proto


export interface ListPullsRequest {
}

export interface ListPullsRequest__Output {
}
