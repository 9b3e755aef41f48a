/** Where a command reads and writes, and whether a person is watching. Tests give their own. */
import type { Readable, Writable } from 'node:stream'

/** A stream that may be a terminal. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number }

/** What asks a process to stop. SIGHUP: the terminal has gone. */
const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
export type StopSignal = (typeof STOP_SIGNALS)[number]

export type Io = {
  readonly stdin: Readable & { readonly isTTY?: boolean }
  /** Results. */
  readonly stdout: Output
  /** Progress, warnings, errors. */
  readonly stderr: Output
  readonly env: Readonly<Record<string, string | undefined>>
  /** Calls back for each stop signal until disposed. */
  readonly onInterrupt: (listener: (name: StopSignal) => void) => Disposable
}

/** This process's own. */
export const processIo: Io = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  onInterrupt: (listener) => {
    const handlers = STOP_SIGNALS.map((name) => [name, () => listener(name)] as const)
    for (const [name, handler] of handlers) process.on(name, handler)
    return {
      [Symbol.dispose]: () => {
        for (const [name, handler] of handlers) process.off(name, handler)
      },
    }
  },
}

export type Size = { readonly columns: number; readonly rows: number }

/** How much fits. A pseudo-terminal whose size nobody set says 0×0, which is as good as not saying. */
export const sizeOf = (output: Output): Size => ({ columns: output.columns || 80, rows: output.rows || 24 })

/** True where lines can be redrawn: a terminal that understands cursor movement. */
export const isLive = (output: Output, env: Io['env']): boolean =>
  output.isTTY === true && env.TERM !== 'dumb' && env.TERM !== undefined

/** True where colour is welcome (no-color.org). */
export const hasColour = (output: Output, env: Io['env']): boolean => isLive(output, env) && (env.NO_COLOR ?? '') === ''

export type Style = 'bold' | 'dim' | 'green' | 'red' | 'cyan'
export type Paint = (style: Style, text: string) => string
const SGR = { bold: [1, 22], dim: [2, 22], green: [32, 39], red: [31, 39], cyan: [36, 39] } as const

/** Colours text where that is welcome. */
export function painter(output: Output, env: Io['env']): Paint {
  if (!hasColour(output, env)) return (_, text) => text
  return (style, text) => `\u001b[${SGR[style][0]}m${text}\u001b[${SGR[style][1]}m`
}

/** Waits until the stream has taken the text, so that a slow reader slows us. */
export function writeTo(output: Output, text: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => output.write(text, (error) => (error ? reject(error) : resolve())))
}
