/** A command's surroundings in a test: what it writes is kept, and signals are given by hand. */
import { PassThrough, Readable, Writable } from 'node:stream'
import type { Deps, InForce } from '../../src/cli/deps.ts'
import type { Io, StopSignal } from '../../src/cli/io.ts'
import { run } from '../../src/cli/run.ts'
import type { Config } from '../../src/config/config.ts'
import { readImageLists } from '../../src/config/image-list.ts'
import { checkFlags, loadConfig, salvageConfig } from '../../src/config/load.ts'
import { configDocument } from '../../src/config/print.ts'
import { openChecker } from '../../src/main/check.ts'

type Tty = { readonly columns: number; readonly rows: number }

export function kept(tty?: Tty) {
  const chunks: string[] = []
  const output = new Writable({
    write: (chunk, _encoding, done) => {
      chunks.push(String(chunk))
      done()
    },
  })
  return { output: Object.assign(output, tty === undefined ? {} : { isTTY: true, ...tty }), chunks, text: () => chunks.join('') }
}

export function terminal({ env = {}, tty, stdin = '' }: { env?: Record<string, string>; tty?: Tty; stdin?: string } = {}) {
  const stdout = kept(tty)
  const stderr = kept(tty)
  const listeners = new Set<(name: StopSignal) => void>()
  const io: Io = {
    stdin: stdin === '' ? new PassThrough() : Readable.from([stdin]),
    stdout: stdout.output,
    stderr: stderr.output,
    env,
    onInterrupt: (listener) => {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
  }
  return {
    io,
    stdout: stdout.text,
    stderr: stderr.text,
    chunks: stdout.chunks,
    interrupt: (name: StopSignal) => {
      for (const listener of listeners) listener(name)
    },
  }
}

const unreachable = (): never => {
  throw new Error('this test starts nothing')
}

export const depsWith = (parts: Partial<Deps<Config>> = {}): Deps<Config> => ({
  loadConfig,
  checkFlags,
  salvageConfig,
  configDocument,
  version: '1.2.3',
  // A daemon without a runtime to hand calls to.
  serve: async (_config, { broken }) => {
    throw broken ?? unreachable()
  },
  examine: unreachable,
  prove: unreachable,
  readLists: readImageLists,
  openChecker: async (config, ask, onProblem) => openChecker(config, '1.2.3', ask, onProblem),
  openEmbedded: unreachable,
  ...parts,
})

/** Runs one command line to its end. */
export async function windlass<C extends InForce>(
  args: readonly string[],
  deps: Deps<C>,
  options: Parameters<typeof terminal>[0] = {},
) {
  const at = terminal(options)
  const code = await run(args, deps, at.io)
  return { code, stdout: at.stdout(), stderr: at.stderr() }
}
