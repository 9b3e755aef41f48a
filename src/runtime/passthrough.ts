import { describe, failureOf } from '../failure/failure.ts'

/** Whether every call goes to the runtime as it came: switched by a person, or on for good where our own path could not be built. */
export type PassthroughState = { readonly on: false } | { readonly on: true; readonly reason: string; readonly since: Date }

export interface Passthrough {
  /** On for good: there is nothing else. */
  readonly isFixed: boolean
  state(): PassthroughState
  /** False where it cannot be switched. Off throws what `keep` throws, and stays on: it would be on again after a restart. */
  set(on: boolean, reason: string): boolean
}

/** Makes a switch last. */
export type Keep = (state: PassthroughState) => void

/** `onChange` hears of every switch; must not throw. */
export function createPassthrough(
  onChange: (state: PassthroughState) => void,
  { initial = { on: false }, keep = () => {} }: { readonly initial?: PassthroughState; readonly keep?: Keep } = {},
): Passthrough {
  let state = initial
  return {
    isFixed: false,
    state: () => state,
    set: (on, reason) => {
      state = on ? keptOn({ on, reason, since: new Date() }, keep) : keptOff(keep)
      onChange(state)
      return true
    },
  }
}

/** On whether it lasts or not: what it is for, a node in trouble, is now. */
function keptOn(state: PassthroughState & { readonly on: true }, keep: Keep): PassthroughState {
  try {
    keep(state)
    return state
  } catch (error) {
    return { ...state, reason: `${state.reason} (until the daemon restarts: ${describe(failureOf(error))})` }
  }
}

function keptOff(keep: Keep): PassthroughState {
  const state = { on: false } as const
  keep(state)
  return state
}

/** On for good. */
export function fixedPassthrough(reason: string): Passthrough {
  const state: PassthroughState = { on: true, reason, since: new Date() }
  return { isFixed: true, state: () => state, set: (on) => on }
}

/** The reason where nobody gives one. */
export const SWITCHED_BY_HAND = 'switched on by hand'

/** What to do about it. */
export const waysOut = ({ isFixed }: Pick<Passthrough, 'isFixed'>): string =>
  isFixed
    ? 'mend that and restart the daemon; crictl pulls through the runtime meanwhile'
    : 'windlass passthrough off takes pulls back; crictl pulls through the runtime meanwhile'
