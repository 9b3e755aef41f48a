import { describe, failureOf } from '../failure/failure.ts'

/** Whether every call goes to the runtime as it came: switched by a person, or on for good where our own path could not be built. */
export type PassthroughState = { readonly on: false } | { readonly on: true; readonly reason: string; readonly since: Date }

export interface Passthrough {
  /** On for good: there is nothing else. */
  readonly isFixed: boolean
  state(): PassthroughState
  /** False where it cannot be switched. Off throws what `keep` throws: it would be on again after a restart. */
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
      state = on ? { on, reason, since: new Date() } : { on }
      onChange(state)
      try {
        keep(state)
      } catch (error) {
        if (!state.on) throw error
        // What it is for, a node in trouble, is now.
        state = { ...state, reason: `${reason} (until the daemon restarts: ${describe(failureOf(error))})` }
      }
      return true
    },
  }
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
