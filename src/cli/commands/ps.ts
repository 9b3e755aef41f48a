/** `ps`: the pulls in flight, whoever started them. */
import type { Command } from 'commander'
import { formatPlatform } from '../../platform/platform.ts'
import type { PullStatus } from '../../pull/pull.ts'
import type { Backend } from '../backend.ts'
import { statusDocument } from '../documents.ts'
import { fittedTable } from '../fit.ts'
import { isLive, type Size } from '../io.ts'
import { type Options, switchOption } from '../options.ts'
import { print, streamIn } from '../output.ts'
import { showLive } from '../progress/screen.ts'
import type { Session } from '../session.ts'
import { bytes, duration } from '../text.ts'

export function addPs(program: Command, session: Session): void {
  program
    .command('ps')
    .description("list pulls in flight with their progress, kubelet's too")
    .option('-w, --watch', 'go on showing them until interrupted')
    .addHelpText(
      'after',
      `
Examples:
  windlass ps
  windlass ps --watch
  windlass -o json ps --watch | jq -c '.[] | {reference, phase}'`,
    )
    .action(async (options: Options) => {
      const { io, signal } = session
      await using backend = await session.daemon()
      if (switchOption(options, 'watch')) await watch(session, backend)
      else {
        const pulls = await backend.pulls({ signal })
        await print(io, session.format(), pulls.map(statusDocument), () => pullsTable(pulls))
      }
    })
}

async function watch(session: Session, backend: Backend): Promise<void> {
  const { io, signal } = session
  const format = session.format()
  if (format !== 'table') {
    const text = await streamIn(format)
    await backend.watchPulls((pulls) => void io.stdout.write(text(pulls.map(statusDocument))), { signal })
  } else if (isLive(io.stdout, io.env)) await watchLive(session, backend)
  else await watchLines(session, backend)
  signal.throwIfAborted()
}

async function watchLive({ io, signal }: Session, backend: Backend): Promise<void> {
  const draw = (pulls: readonly PullStatus[], { columns }: Size) => pullsTable(pulls, columns).trimEnd().split('\n')
  await showLive<readonly PullStatus[], void>(io.stdout, [], draw, (onChange) => backend.watchPulls(onChange, { signal }))
}

/** In a log, a table is worth its lines only when a pull came, went, or entered another phase. */
async function watchLines({ io, signal }: Session, backend: Backend): Promise<void> {
  let before = ''
  await backend.watchPulls(
    (pulls) => {
      const now = pulls.map(({ id, phase }) => `${id} ${phase}`).join('\n')
      if (now !== before) io.stdout.write(`${pullsTable(pulls)}\n`)
      before = now
    },
    { signal },
  )
}

/** Where the room is bounded, figures stay and names give way. */
export function pullsTable(pulls: readonly PullStatus[], width = Number.POSITIVE_INFINITY): string {
  const rows = pulls.map(({ id, reference, platform, phase, layers, startedAt, clients }) => {
    const { done, of } = bytesCome(layers)
    return [
      id,
      reference,
      formatPlatform(platform),
      phase,
      layers.length === 0 ? '' : `${layers.filter(({ state }) => state === 'done').length}/${layers.length}`,
      layers.length === 0 ? '' : `${bytes(done)} / ${bytes(of)}`,
      duration(Math.max(0, Date.now() - startedAt.getTime())),
      counted(clients),
    ]
  })
  const header = ['PULL', 'IMAGE', 'PLATFORM', 'PHASE', 'LAYERS', 'BYTES', 'AGE', 'CLIENTS']
  const flexible = [{ column: 'IMAGE', least: 16, loses: 'middle' }] as const
  return fittedTable(header, rows, { width, flexible, expendable: ['PLATFORM', 'CLIENTS', 'PULL', 'LAYERS'] })
}

/** Compressed bytes of all layers, and those that are here. */
export const bytesCome = (layers: PullStatus['layers']): { readonly done: number; readonly of: number } => ({
  done: layers.reduce((sum, { state, bytes, size }) => sum + (state === 'done' ? size : Math.min(bytes, size)), 0),
  of: layers.reduce((sum, { size }) => sum + size, 0),
})

/** `cri ×3, cli`. */
function counted(clients: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const client of clients) counts.set(client, (counts.get(client) ?? 0) + 1)
  return [...counts].map(([client, count]) => (count === 1 ? client : `${client} ×${count}`)).join(', ')
}
