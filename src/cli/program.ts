/** Every command and option in one place, in the order `--help` shows them. */
import { Command, Option } from 'commander'
import { addCheck } from './commands/check.ts'
import { addCompletion } from './commands/completion.ts'
import { addDoctor } from './commands/doctor.ts'
import { addHistory } from './commands/history.ts'
import { addImages, addInspect, addRmi } from './commands/images.ts'
import { addGc, addPin, addUnpin, addWhy } from './commands/keep.ts'
import { addLoad } from './commands/load.ts'
import { addManifest, addPlatforms } from './commands/look.ts'
import { addConfig, addServe, addVersion } from './commands/node.ts'
import { addPassthrough } from './commands/passthrough.ts'
import { addProve } from './commands/prove.ts'
import { addPs } from './commands/ps.ts'
import { addPlan, addPull } from './commands/pull.ts'
import { addQueue } from './commands/queue.ts'
import { addSave } from './commands/save.ts'
import { addTop } from './commands/top.ts'
import { addBundle, addMount, addUnmount } from './commands/use.ts'
import { addVerify } from './commands/verify.ts'
import { addWait } from './commands/wait.ts'
import { hasColour, type Io } from './io.ts'
import { withOtherNames } from './other-names.ts'
import { FORMATS } from './output.ts'
import type { Session } from './session.ts'

/** The bare program with its global options, which work before and after a command's name. */
export function createProgram(io: Io, version: string): Command {
  const columns = (output: Io['stdout']): number => output.columns || 100
  return new Command('windlass')
    .description('Pulls container images to this node: verified, layer by layer, ready to start from.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .usage('[options] <command>')
    .addOption(new Option('--socket <path>', 'the daemon to ask [WINDLASS_SOCKET, /run/windlass/windlass.sock]'))
    .addOption(
      new Option('--root <dir>', 'work without a daemon, on a root of your own; for serve: where images live [WINDLASS_ROOT]'),
    )
    .addOption(new Option('-o, --output <format>', 'how to print results').choices(FORMATS).default('table'))
    .addOption(new Option('--config <file>', 'configuration file [WINDLASS_CONFIG]'))
    .addOption(
      new Option(
        '--hosts-dir <dir>',
        "directory of hosts.toml files, containerd's certs.d layout; with --root, and for serve [WINDLASS_HOSTS_DIR]",
      ),
    )
    .addHelpText(
      'after',
      `
--root or --socket says who works, this process or a daemon. Where neither is
given, WINDLASS_ROOT or WINDLASS_SOCKET says it, else the default socket is
asked. Both at once are refused.

Exit codes: 0 done, 1 failed, 2 not understood (a configuration too),
130 interrupted, 143 terminated (SIGTERM), 129 terminal closed (SIGHUP).

Start here:
  windlass serve                          # the daemon, as root
  windlass pull debian:12                 # through the daemon
  windlass --root ./images pull debian:12 # or without one
  windlass COMMAND --help                 # what a command does, with examples`,
    )
    .exitOverride()
    .showHelpAfterError('(windlass --help lists the commands)')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: (text, write) => write(inOurWords(text)),
      getOutHelpWidth: () => columns(io.stdout),
      getErrHelpWidth: () => columns(io.stderr),
      getOutHasColors: () => hasColour(io.stdout, io.env),
      getErrHasColors: () => hasColour(io.stderr, io.env),
    })
}

/** What commander says of a command line, as the rest of this program would. */
const inOurWords = (text: string): string =>
  withOtherNames(text)
    .replace(/^error: /, 'windlass: ')
    .replace(/missing required argument '(.+?)'/, 'argument <$1> is missing')
    .replace(
      /too many arguments for '(.+?)'\. Expected 0 arguments but got \d+: (.*)\./,
      '$1 takes no argument, but was given $2',
    )
    .replace(
      /too many arguments for '(.+?)'\. Expected (\d+) arguments? but got (\d+): (.*)\./,
      '$1 takes at most $2, but was given $3: $4',
    )
    .replace(/command-argument value '(.*?)' is invalid for argument '.+?'\./, "'$1' is invalid.")
    .replace(/'(.*?)' is invalid\. Allowed choices are (.*)\./, "'$1' is not known; want one of $2")

/** Adds the commands, which find everything they need in `session`. */
export function addCommands(program: Command, session: Session): void {
  program.commandsGroup('Pull:')
  for (const add of [addPull, addPlan, addLoad, addPs, addQueue, addTop, addWait, addHistory, addCheck]) add(program, session)
  program.commandsGroup('Images:')
  for (const add of [addImages, addInspect, addRmi, addPin, addUnpin, addWhy, addGc, addVerify]) add(program, session)
  program.commandsGroup('Look:')
  for (const add of [addManifest, addPlatforms]) add(program, session)
  program.commandsGroup('Use:')
  for (const add of [addMount, addBundle, addUnmount, addSave]) add(program, session)
  program.commandsGroup('Node:')
  for (const add of [addServe, addDoctor, addPassthrough, addProve, addConfig, addVersion, addCompletion]) add(program, session)
  addHelp(program)
  for (const command of program.commands) command.showHelpAfterError(`(windlass ${command.name()} --help shows how it is used)`)
}

/** Commander's own takes the help of a command that is none for the help of all, and calls it a success. */
function addHelp(program: Command): void {
  program.helpCommand(false)
  program
    .command('help')
    .description('show help for a command')
    .argument('[command]', 'which')
    .action(async (name: string | undefined) => {
      const about = name === undefined ? program : program.commands.find((command) => command.name() === name)
      if (about !== undefined) about.outputHelp()
      // Fails, as the command itself would, with what was perhaps meant.
      else await program.parseAsync([name ?? ''], { from: 'user' })
    })
}
