/** argv → one command → an exit code. */
import { CommanderError } from 'commander'
import type { Deps, InForce } from './deps.ts'
import { EXIT, EXIT_AFTER, exitCodeOf, Interrupted, linesOf } from './failures.ts'
import { type Io, processIo, type StopSignal } from './io.ts'
import { addCommands, createProgram } from './program.ts'
import { openSession } from './session.ts'

/**
 * Runs the command line `argv` (without node and script) to its end: 0, 1 for a failure, 2 for what was not understood, 128 and its
 * number when a signal stopped it (SIGHUP may have a daemon read its lists instead); a second one stops this process at once. Never throws, and never exits by itself otherwise.
 */
export async function run<C extends InForce>(argv: readonly string[], deps: Deps<C>, io: Io = processIo): Promise<number> {
  const interrupts = { first: undefined as StopSignal | undefined }
  const stop = new AbortController()
  let reload: (() => void) | undefined
  using _listening = io.onInterrupt((name) => {
    if (name === 'SIGHUP' && reload !== undefined) return reload()
    if (interrupts.first !== undefined) process.exit(EXIT_AFTER[name])
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
    openSession(deps, io, { signal: stop.signal, onReload: (given) => (reload = given) }, () => program.opts()),
  )
  try {
    await program.parseAsync(argv, { from: 'user' })
    return EXIT.ok
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    if (interrupts.first !== undefined) {
      // What became of it is worth knowing in a log, too; that it was stopped is known to whoever stopped it.
      if (error instanceof Interrupted) io.stderr.write(`windlass: interrupted; ${error.message}\n`)
      else if (io.stderr.isTTY === true) io.stderr.write('windlass: interrupted\n')
      return EXIT_AFTER[interrupts.first]
    }
    const reason = outputs.lost ?? error
    // A reader that has seen enough (`| head`) is no failure.
    if (isBrokenPipe(reason)) return EXIT.ok
    for (const line of linesOf(reason)) io.stderr.write(`windlass: ${line}\n`)
    return exitCodeOf(reason)
  }
}

const isBrokenPipe = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'EPIPE'
