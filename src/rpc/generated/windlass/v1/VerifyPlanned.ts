// Original file: proto/windlass/v1/windlass.proto

import type { LayerToVerify as _windlass_v1_LayerToVerify, LayerToVerify__Output as _windlass_v1_LayerToVerify__Output } from '../../windlass/v1/LayerToVerify.ts';

export interface VerifyPlanned {
  'layers'?: (_windlass_v1_LayerToVerify)[];
}

export interface VerifyPlanned__Output {
  'layers': (_windlass_v1_LayerToVerify__Output)[];
}
