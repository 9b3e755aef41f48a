/** `passthrough`: every call to the runtime as it comes, without a restart of anything. */
import { Argument, type Command } from 'commander'
import { fail } from '../../failure/failure.ts'
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
keeps its socket and need not be restarted. It is off again after a restart of
the daemon. A daemon that could not read its configuration is in passthrough
until it is mended and the daemon restarted.

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
      if (runtime === undefined)
        fail({ kind: 'invalid-argument', what: 'passthrough', reason: 'this daemon serves its own store, beside no runtime' })
      await print(io, session.format(), runtime, statusText)
    })
}

function statusText({ kind, socket, version, obstacles, missing, passthrough }: NonNullable<DaemonInfo['runtime']>): string {
  const { on, reason, since } = passthrough
  const pulls = on
    ? `the runtime's, since ${since?.toISOString()}: ${reason}`
    : missing !== ''
      ? `the runtime's for now: ${missing}`
      : (obstacles[0] ?? 'ours')
  return facts([
    ['runtime', `${kind}${version === '' ? '' : ` ${version}`} at ${socket}`],
    ['passthrough', on ? 'on' : 'off'],
    ['pulls', pulls],
  ])
}
