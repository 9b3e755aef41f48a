/** argv → one command → an exit code. */
import { CommanderError } from 'commander'
import type { Deps, InForce } from './deps.ts'
import { EXIT, exitCodeOf, textOf } from './failures.ts'
import { type Io, processIo } from './io.ts'
import { addCommands, createProgram } from './program.ts'
import { openSession } from './session.ts'

/**
 * Runs the command line `argv` (without node and script) to its end: 0, 1 for a failure, 2 for what was not understood, 130 and 143 when
 * SIGINT and SIGTERM stopped it; a second one stops this process at once. Never throws, and never exits by itself otherwise.
 */
export async function run<C extends InForce>(argv: readonly string[], deps: Deps<C>, io: Io = processIo): Promise<number> {
  const interrupts = { first: undefined as 'SIGINT' | 'SIGTERM' | undefined }
  const stop = new AbortController()
  using _listening = io.onInterrupt((name) => {
    if (interrupts.first !== undefined) process.exit(exitFor(name))
    interrupts.first = name
    stop.abort()
  })
  // Stays for good: what is still under way when the command has ended fails after it.
  const outputs = { lost: undefined as NodeJS.ErrnoException | undefined }
  const lose = (error: NodeJS.ErrnoException): void => {
    outputs.lost ??= error
    stop.abort()
  }
  for (const output of [io.stdout, io.stderr]) output.on('error', lose)

  const program = createProgram(io, deps.version)
  addCommands(
    program,
    openSession(deps, io, stop.signal, () => program.opts()),
  )
  try {
    await program.parseAsync(argv, { from: 'user' })
    return EXIT.ok
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    if (interrupts.first !== undefined) return exitFor(interrupts.first)
    const reason = outputs.lost ?? error
    // A reader that has seen enough (`| head`) is no failure.
    if (isBrokenPipe(reason)) return EXIT.ok
    io.stderr.write(`windlass: ${textOf(reason)}\n`)
    return exitCodeOf(reason)
  }
}

const isBrokenPipe = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'EPIPE'
const exitFor = (name: 'SIGINT' | 'SIGTERM'): number => (name === 'SIGINT' ? EXIT.interrupted : EXIT.terminated)
