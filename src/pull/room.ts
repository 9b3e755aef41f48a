/** Room on the disk for what a pull will unpack: asked for before its first layer, and made while the bytes come. */
import type { LayerId } from '../oci/digest.ts'
import type { ComingLayer } from '../store/coming.ts'
import type { Abortable } from '../task/task.ts'

export interface Room {
  /**
   * Counts what is still to come, until it is disposed; `expects` says how much that is, whenever it is asked. Throws no-space where not even
   * the least of it is to be had.
   */
  reserve(expects: () => readonly ComingLayer[], options: Abortable): Promise<Disposable>
  /** So many bytes of layers have come. A promise: room is being made for more, go on once it resolves. */
  arrived(bytes: number): Promise<void> | undefined
  /** Makes room for a copy of which a pull says that it is due. Rejects with the signal's reason. */
  due(layer: LayerId, options: Abortable): Promise<void>
}
