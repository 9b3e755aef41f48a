/** A caller as kubelet is one: a call that was cut is made anew, once. */
import { type Connection, connect } from '../../src/rpc/client.ts'
import { RpcError } from '../../src/rpc/status.ts'
import type { Abortable } from '../../src/task/task.ts'

export interface Caller {
  call<T>(make: (cri: Connection) => Promise<T>): Promise<T>
  /** How many calls had to be made anew. */
  readonly repeated: number
}

/** Connects for every call, which must never fail. */
export function callerOf(socket: string, { signal }: Abortable): Caller {
  let repeated = 0
  return {
    get repeated() {
      return repeated
    },
    call: async (make) => {
      for (let attempt = 1; ; attempt++) {
        using cri = await connect(socket, { signal })
        try {
          return await make(cri)
        } catch (error) {
          if (!(error instanceof RpcError) || error.code !== 'UNAVAILABLE' || attempt > 1) throw error
          repeated++
        }
      }
    },
  }
}
