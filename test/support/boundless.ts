import type { Room } from '../../src/pull/room.ts'

/** As much room as there is. */
export const boundless: Room = {
  reserve: async () => ({ [Symbol.dispose]: () => {} }),
  arrived: () => undefined,
  due: async () => {},
}
