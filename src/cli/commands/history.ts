/** `history`: the pulls that have ended, whoever asked for them, and where their time went. */
import { type Command, InvalidArgumentError } from 'commander'
import { fail } from '../../failure/failure.ts'
import { historyDocument } from '../documents.ts'
import { isLive, sizeOf } from '../io.ts'
import { numberOption, type Options, switchOption } from '../options.ts'
import { print } from '../output.ts'
import { failureForPeople, historyTable, reportForPeople } from '../pull-report.ts'
import { note, type Session } from '../session.ts'

/** As `windlass history` and the log name a pull. */
const PULL_ID = /^[0-9a-f]{8}$/

export function addHistory(program: Command, session: Session): void {
  program
    .command('history')
    .description("tell where the time of pulls went, kubelet's too, and why some failed")
    .argument('[image|pull]', 'pulls of this image, without a tag of all its tags; or one pull by its eight hex digits, whole')
    .option('--last', 'the latest one, whole')
    .option('-n, --limit <count>', 'as many, newest first; 0: all that are kept', limitOption, 20)
    .addHelpText(
      'after',
      `
The last 500 pulls are kept, for 30 days, fewer of them where images have many layers; a restart keeps them. A name of eight hex
digits is taken for a pull: give an image of such a name its tag.

Examples:
  windlass history
  windlass history --last
  windlass history debian:12
  windlass history debian                  # whatever its tag, or digest
  windlass history 1a2b3c4d
  windlass -o json history -n 0 | jq '.[] | select(.failure) | {reference, verdict, failure}'`,
    )
    .action(async (name: string | undefined, options: Options) => {
      const { io, signal } = session
      const isId = name !== undefined && PULL_ID.test(name)
      const last = switchOption(options, 'last')
      const asked = name === undefined ? {} : isId ? { id: name } : { reference: name }
      await using backend = await session.backendWithImages()
      const limit = last ? 1 : (numberOption(options, 'limit') ?? 0)
      const reports = await backend.history({ ...asked, limit }, { signal })
      if (!isId && !last) {
        if (reports.length === 0 && session.format() === 'table')
          return note(io, `no pulls${name === undefined ? '' : ` of ${name}`} are on record`)
        const width = isLive(io.stdout, io.env) ? sizeOf(io.stdout).columns : Number.POSITIVE_INFINITY
        return await print(io, session.format(), reports.map(historyDocument), () => historyTable(reports, width))
      }
      const [report] = reports
      if (report === undefined) {
        const reason = 'none has ended yet that is on record; windlass ps shows those under way'
        return fail({ kind: 'invalid-argument', what: `pull${name === undefined ? '' : ` of ${name}`}`, reason })
      }
      await print(io, session.format(), historyDocument(report), () => `${reportForPeople(report)}${failureForPeople(report)}`)
    })
}

function limitOption(text: string): number {
  const count = Number(text)
  if (/^\d{1,6}$/.test(text)) return count
  throw new InvalidArgumentError('want a count, or 0 for all')
}
