/** `doctor`: looks this node over and says what to change. */
import type { Command } from 'commander'
import { fail } from '../../failure/failure.ts'
import { type Options, runtimeEndpointOption, runtimeFlags, runtimeOption } from '../options.ts'
import { print } from '../output.ts'
import type { Session } from '../session.ts'
import { printable } from '../text.ts'

const LABELS = { ok: 'ok', warn: 'warn', fail: 'FAIL' } as const

export function addDoctor(program: Command, session: Session): void {
  program
    .command('doctor')
    .description('look this node over: rights, kernel, disk, socket, runtime, registries; say what to change')
    .addOption(runtimeOption())
    .addOption(runtimeEndpointOption())
    .addHelpText(
      'after',
      `
Where a daemon answers on the socket, its root and its runtime are looked at;
else those of the configuration and the flags; with --root, that root alone,
for work without a daemon. Changes nothing: what it tries,
it tries in a directory below the root that is gone afterwards. Run it as the
daemon runs, as root. Exit code 1 if anything is FAIL.

Examples:
  windlass doctor
  windlass doctor --config /etc/windlass/windlass.yaml
  windlass -o json doctor | jq '.[] | select(.level != "ok")'`,
    )
    .action(async (options: Options) => {
      const { io } = session
      const findings = await session.examine(runtimeFlags(options))
      await print(io, session.format(), findings, (each) =>
        each.map(({ level, about, text }) => `${LABELS[level].padEnd(5)} ${about.padEnd(11)} ${printable(text)}\n`).join(''),
      )
      const failed = findings.filter(({ level }) => level === 'fail').length
      if (failed > 0) fail({ kind: 'unhealthy', failed })
    })
}
