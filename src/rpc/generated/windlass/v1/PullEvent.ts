// Original file: proto/windlass/v1/windlass.proto

import type { Resolved as _windlass_v1_Resolved, Resolved__Output as _windlass_v1_Resolved__Output } from '../../windlass/v1/Resolved.ts';
import type { Planned as _windlass_v1_Planned, Planned__Output as _windlass_v1_Planned__Output } from '../../windlass/v1/Planned.ts';
import type { Progress as _windlass_v1_Progress, Progress__Output as _windlass_v1_Progress__Output } from '../../windlass/v1/Progress.ts';
import type { LayerDone as _windlass_v1_LayerDone, LayerDone__Output as _windlass_v1_LayerDone__Output } from '../../windlass/v1/LayerDone.ts';
import type { Sealed as _windlass_v1_Sealed, Sealed__Output as _windlass_v1_Sealed__Output } from '../../windlass/v1/Sealed.ts';
import type { Done as _windlass_v1_Done, Done__Output as _windlass_v1_Done__Output } from '../../windlass/v1/Done.ts';
import type { Begun as _windlass_v1_Begun, Begun__Output as _windlass_v1_Begun__Output } from '../../windlass/v1/Begun.ts';
import type { Room as _windlass_v1_Room, Room__Output as _windlass_v1_Room__Output } from '../../windlass/v1/Room.ts';
import type { Stopped as _windlass_v1_Stopped, Stopped__Output as _windlass_v1_Stopped__Output } from '../../windlass/v1/Stopped.ts';

export interface PullEvent {
  'resolved'?: (_windlass_v1_Resolved | null);
  'planned'?: (_windlass_v1_Planned | null);
  'progress'?: (_windlass_v1_Progress | null);
  'layer'?: (_windlass_v1_LayerDone | null);
  'sealed'?: (_windlass_v1_Sealed | null);
  'done'?: (_windlass_v1_Done | null);
  /**
   * How long after the pull began, in milliseconds; of what was before this caller joined, too.
   */
  'atMs'?: (number | string);
  'begun'?: (_windlass_v1_Begun | null);
  'room'?: (_windlass_v1_Room | null);
  'stopped'?: (_windlass_v1_Stopped | null);
  'event'?: "resolved"|"planned"|"progress"|"layer"|"sealed"|"done"|"begun"|"room"|"stopped";
}

export interface PullEvent__Output {
  'resolved'?: (_windlass_v1_Resolved__Output | null);
  'planned'?: (_windlass_v1_Planned__Output | null);
  'progress'?: (_windlass_v1_Progress__Output | null);
  'layer'?: (_windlass_v1_LayerDone__Output | null);
  'sealed'?: (_windlass_v1_Sealed__Output | null);
  'done'?: (_windlass_v1_Done__Output | null);
  /**
   * How long after the pull began, in milliseconds; of what was before this caller joined, too.
   */
  'atMs': (number);
  'begun'?: (_windlass_v1_Begun__Output | null);
  'room'?: (_windlass_v1_Room__Output | null);
  'stopped'?: (_windlass_v1_Stopped__Output | null);
  'event'?: "resolved"|"planned"|"progress"|"layer"|"sealed"|"done"|"begun"|"room"|"stopped";
}
