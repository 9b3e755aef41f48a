/** `passthrough`: every call to the runtime as it comes, without a restart of anything. */
import { Argument, type Command } from 'commander'
import type { DaemonInfo } from '../backend.ts'
import { type Options, textOption } from '../options.ts'
import { print } from '../output.ts'
import type { Session } from '../session.ts'
import { facts } from '../text.ts'

export function addPassthrough(program: Command, session: Session): void {
  program
    .command('passthrough')
    .description('hand every call to the runtime as it comes, or do pulls here again')
    .addArgument(new Argument('[state]', 'on, off or status').choices(['on', 'off', 'status']).default('status'))
    .option('--reason <text>', 'for the log and for whoever asks later')
    .addHelpText(
      'after',
      `
With passthrough on, the runtime pulls as if Windlass were not there; kubelet
keeps its socket and need not be restarted. It stays on over restarts of the
daemon, until it is switched off. A daemon that cannot use its configuration is
in passthrough until that is mended and the daemon restarted, where it finds a
runtime: --runtime-endpoint, else the one the rest of the file names, else the
one it last pulled for, else, without --root, the one whose usual socket is
there. Where it finds none it ends, with the reason.

Examples:
  windlass passthrough
  windlass passthrough on --reason 'incident 4711'
  windlass passthrough off`,
    )
    .action(async (state: string, options: Options) => {
      const { io, signal } = session
      await using backend = await session.daemon()
      if (state !== 'status') await backend.setPassthrough(state === 'on', textOption(options, 'reason') ?? '', { signal })
      const runtime = (await backend.daemon({ signal }))?.runtime
      if (runtime === undefined) await print(io, session.format(), { kind: 'none' }, noneText)
      else await print(io, session.format(), runtime, statusText)
    })
}

const noneText = (): string =>
  facts([
    ['runtime', 'none'],
    ['pulls', 'ours: this daemon serves its own store'],
  ])

function statusText({
  kind,
  socket,
  version,
  obstacles,
  missing,
  down,
  passthrough,
}: NonNullable<DaemonInfo['runtime']>): string {
  const { on, reason, since } = passthrough
  const why = on ? reason : missing !== '' ? `${missing} (tried again and again)` : obstacles[0]
  return facts([
    ['runtime', `${kind}${version === '' ? '' : ` ${version}`} at ${socket}`],
    ['pulls', down !== '' ? `nobody's: ${down}` : why === undefined ? 'ours' : `the runtime's: ${why}`],
    ['passthrough', on ? `on since ${since?.toISOString()}${down === '' ? '' : `: ${reason}`}` : 'not switched on'],
  ])
}
