// Original file: proto/windlass/v1/windlass.proto


export interface ListDamagedRequest {
}

export interface ListDamagedRequest__Output {
}
