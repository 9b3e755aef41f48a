/** Room on the disk for what a pull will unpack: asked for before its first layer, and made while the bytes come. */
import type { LayerId } from '../oci/digest.ts'
import type { Abortable } from '../task/task.ts'

/** Bytes a layer will take up: what is likely, and what it will hardly fall below. `isKnown`: its size was measured on this node. */
export type Estimate = { readonly likely: number; readonly least: number; readonly isKnown: boolean }

/** One that is to come: its estimate is of what has not come yet; `arrived` is how much of what was likely has. */
export type Coming = Estimate & { readonly id: LayerId; readonly arrived: number; readonly hasBegun: boolean }

export interface Room {
  /**
   * Counts what is still to come, until it is disposed; `expects` says how much that is, whenever it is asked. Throws no-space where not even
   * the least of it is to be had.
   */
  reserve(expects: () => readonly Coming[], options: Abortable): Promise<Disposable>
  /** So many bytes of layers have come. A promise: room is being made for more, go on once it resolves. */
  arrived(bytes: number): Promise<void> | undefined
}

/** Of a store whose disk is somebody else's to look after. */
export const boundless: Room = { reserve: async () => ({ [Symbol.dispose]: () => {} }), arrived: () => undefined }
