// Original file: proto/windlass/v1/windlass.proto

import type { VerifyPlanned as _windlass_v1_VerifyPlanned, VerifyPlanned__Output as _windlass_v1_VerifyPlanned__Output } from '../../windlass/v1/VerifyPlanned.ts';
import type { VerifyProgress as _windlass_v1_VerifyProgress, VerifyProgress__Output as _windlass_v1_VerifyProgress__Output } from '../../windlass/v1/VerifyProgress.ts';
import type { VerifiedLayer as _windlass_v1_VerifiedLayer, VerifiedLayer__Output as _windlass_v1_VerifiedLayer__Output } from '../../windlass/v1/VerifiedLayer.ts';
import type { Repairing as _windlass_v1_Repairing, Repairing__Output as _windlass_v1_Repairing__Output } from '../../windlass/v1/Repairing.ts';
import type { RepairFailed as _windlass_v1_RepairFailed, RepairFailed__Output as _windlass_v1_RepairFailed__Output } from '../../windlass/v1/RepairFailed.ts';
import type { VerifyDone as _windlass_v1_VerifyDone, VerifyDone__Output as _windlass_v1_VerifyDone__Output } from '../../windlass/v1/VerifyDone.ts';

export interface VerifyEvent {
  'planned'?: (_windlass_v1_VerifyPlanned | null);
  'progress'?: (_windlass_v1_VerifyProgress | null);
  'layer'?: (_windlass_v1_VerifiedLayer | null);
  'repairing'?: (_windlass_v1_Repairing | null);
  'repairFailed'?: (_windlass_v1_RepairFailed | null);
  'done'?: (_windlass_v1_VerifyDone | null);
  'event'?: "planned"|"progress"|"layer"|"repairing"|"repairFailed"|"done";
}

export interface VerifyEvent__Output {
  'planned'?: (_windlass_v1_VerifyPlanned__Output | null);
  'progress'?: (_windlass_v1_VerifyProgress__Output | null);
  'layer'?: (_windlass_v1_VerifiedLayer__Output | null);
  'repairing'?: (_windlass_v1_Repairing__Output | null);
  'repairFailed'?: (_windlass_v1_RepairFailed__Output | null);
  'done'?: (_windlass_v1_VerifyDone__Output | null);
  'event'?: "planned"|"progress"|"layer"|"repairing"|"repairFailed"|"done";
}
