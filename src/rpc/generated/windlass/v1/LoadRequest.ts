// Original file: proto/windlass/v1/windlass.proto

import type { LoadStart as _windlass_v1_LoadStart, LoadStart__Output as _windlass_v1_LoadStart__Output } from '../../windlass/v1/LoadStart.ts';
import type { Piece as _windlass_v1_Piece, Piece__Output as _windlass_v1_Piece__Output } from '../../windlass/v1/Piece.ts';

export interface LoadRequest {
  'start'?: (_windlass_v1_LoadStart | null);
  'piece'?: (_windlass_v1_Piece | null);
  'request'?: "start"|"piece";
}

export interface LoadRequest__Output {
  'start'?: (_windlass_v1_LoadStart__Output | null);
  'piece'?: (_windlass_v1_Piece__Output | null);
  'request'?: "start"|"piece";
}
