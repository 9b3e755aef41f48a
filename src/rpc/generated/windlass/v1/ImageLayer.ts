// Original file: proto/windlass/v1/windlass.proto

import type { Descriptor as _windlass_v1_Descriptor, Descriptor__Output as _windlass_v1_Descriptor__Output } from '../../windlass/v1/Descriptor.ts';
import type { Damage as _windlass_v1_Damage, Damage__Output as _windlass_v1_Damage__Output } from '../../windlass/v1/Damage.ts';
import type { Long } from '@grpc/proto-loader';

export interface ImageLayer {
  'blob'?: (_windlass_v1_Descriptor | null);
  'diffId'?: (string);
  'layerId'?: (string);
  /**
   * Absolute path of the lowerdir, and a path of at most 28 bytes below overlay_dir that leads to it.
   */
  'diff'?: (string);
  'short'?: (string);
  /**
   * Unset where a runtime unpacked it: it keeps no such figures.
   */
  'diffSize'?: (number | string | Long);
  'entries'?: (number | string | Long);
  'whiteouts'?: (number | string | Long);
  /**
   * Unset where nothing is known against it.
   */
  'damage'?: (_windlass_v1_Damage | null);
  '_diffSize'?: "diffSize";
  '_entries'?: "entries";
  '_whiteouts'?: "whiteouts";
}

export interface ImageLayer__Output {
  'blob': (_windlass_v1_Descriptor__Output | null);
  'diffId': (string);
  'layerId': (string);
  /**
   * Absolute path of the lowerdir, and a path of at most 28 bytes below overlay_dir that leads to it.
   */
  'diff': (string);
  'short': (string);
  /**
   * Unset where a runtime unpacked it: it keeps no such figures.
   */
  'diffSize'?: (number);
  'entries'?: (number);
  'whiteouts'?: (number);
  /**
   * Unset where nothing is known against it.
   */
  'damage': (_windlass_v1_Damage__Output | null);
  '_diffSize'?: "diffSize";
  '_entries'?: "entries";
  '_whiteouts'?: "whiteouts";
}
