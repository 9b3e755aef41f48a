import type { LayerId } from '../oci/digest.ts'

/** A layer on its way into a store. Bytes as they will lie on its disk. */
export type ComingLayer = {
  readonly id: LayerId
  /** Still to come: what is likely, and what it will hardly fall below. */
  readonly likely: number
  readonly least: number
  /** How much of what was likely has come. */
  readonly arrived: number
  /** Its first bytes have come. */
  readonly hasBegun: boolean
  /** It is copied on this node, all at once, and waits for room to begin. */
  readonly isDue: boolean
}
