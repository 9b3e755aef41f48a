/** `SetPassthrough`, and what the switch keeps from landing in a runtime. */
import { fail } from '../failure/failure.ts'
import type { WindlassHandlers } from '../rpc/services.ts'
import { obstacleFor } from '../runtime/obstacle.ts'
import { SWITCHED_BY_HAND, waysOut } from '../runtime/passthrough.ts'
import { type ControlledRuntime, passthroughMessage } from './messages.ts'

/** Throws passthrough: what lands in a runtime must not go past a switch, or past what the runtime would ask before it pulls. */
export function checkOurs(runtime: ControlledRuntime | undefined): void {
  if (runtime === undefined) return
  const { passthrough, facts } = runtime
  const state = passthrough.state()
  if (state.on) fail({ kind: 'passthrough', reason: `${state.reason}; ${waysOut(passthrough)}` })
  const said = facts()
  const obstacle = said === undefined ? undefined : obstacleFor(said, '')
  if (obstacle !== undefined) fail({ kind: 'passthrough', reason: obstacle.text })
}

export function passthroughHandlers(runtime: ControlledRuntime | undefined): Pick<WindlassHandlers, 'setPassthrough'> {
  return {
    async setPassthrough({ on, reason }) {
      if (runtime === undefined) {
        const reason =
          'this daemon has a store of its own and no runtime to hand calls to; one beside a runtime, windlass serve --runtime containerd or crio, has'
        return fail({ kind: 'invalid-argument', what: `argument "${on ? 'on' : 'off'}"`, reason })
      }
      const { passthrough } = runtime
      const said = reason === '' ? SWITCHED_BY_HAND : reason
      if (!passthrough.set(on, said)) {
        const state = passthrough.state()
        return fail({ kind: 'passthrough', reason: `${state.on ? state.reason : 'for good'}; ${waysOut(passthrough)}` })
      }
      return { passthrough: passthroughMessage(passthrough.state()) }
    },
  }
}
