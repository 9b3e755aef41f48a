/** Whether every call goes to the runtime as it came: switched by a person, or on for good where our own path could not be built. */
export type PassthroughState = { readonly on: false } | { readonly on: true; readonly reason: string; readonly since: Date }

export interface Passthrough {
  state(): PassthroughState
  /** False where it cannot be switched: there is nothing else. */
  set(on: boolean, reason: string): boolean
}

/** Off. `onChange` hears of every switch; must not throw. */
export function createPassthrough(onChange: (state: PassthroughState) => void): Passthrough {
  let state: PassthroughState = { on: false }
  return {
    state: () => state,
    set: (on, reason) => {
      state = on ? { on, reason, since: new Date() } : { on }
      onChange(state)
      return true
    },
  }
}

/** On for good. */
export function fixedPassthrough(reason: string): Passthrough {
  const state: PassthroughState = { on: true, reason, since: new Date() }
  return { state: () => state, set: (on) => on }
}
