/** `queue`: what this node has to pull, for whom, in which order, and why some of it has not come. */
import type { Command } from 'commander'
import { isAwaited, type PullStatus } from '../../pull/pull.ts'
import type { QueuedImage } from '../../pull/queue.ts'
import type { Backend, NodeQueue } from '../backend.ts'
import { fittedTable } from '../fit.ts'
import { isLive, type Size, sizeOf } from '../io.ts'
import { type Options, switchOption } from '../options.ts'
import { print, streamIn } from '../output.ts'
import { showLive } from '../progress/screen.ts'
import type { Session } from '../session.ts'
import { bytes, duration, plural, printable, reasonBeside } from '../text.ts'
import { bytesCome } from './ps.ts'

export function addQueue(program: Command, session: Session): void {
  program
    .command('queue')
    .description('show what waits to be pulled and what is, for which pod or list, and why it has not come')
    .option('-a, --all', 'images of lists that are here too')
    .option('-w, --watch', 'go on showing it until interrupted')
    .addHelpText(
      'after',
      `
First what goes first: pulls that pods and people wait for, then the images of
lists by priority. NEXT is when a failed one is tried again. What is unprotected
is here, but the runtime does not tell kubelet that it is pinned, and kubelet's
collection may take it.

Examples:
  windlass queue
  windlass queue --watch
  windlass -o json queue | jq -r '.images[] | select(.state == "failed") | "\\(.image): \\(.reason)"'`,
    )
    .action(async (options: Options) => {
      const { io, signal } = session
      const all = switchOption(options, 'all')
      await using backend = await session.daemon()
      if (switchOption(options, 'watch')) return await watch(session, backend, all)
      const queue = await backend.queue({ signal })
      await print(io, session.format(), queueDocument(queue, all), () => queueForPeople(queue, all, widthOf(session)))
    })
}

const widthOf = ({ io }: Session): number => (isLive(io.stdout, io.env) ? sizeOf(io.stdout).columns : Number.POSITIVE_INFINITY)

async function watch(session: Session, backend: Backend, all: boolean): Promise<void> {
  const { io, signal } = session
  const format = session.format()
  const text = format === 'table' ? undefined : await streamIn(format)
  let before = ''
  const show = (queue: NodeQueue): void => {
    const now = text === undefined ? queueForPeople(queue, all, Number.POSITIVE_INFINITY) : text(queueDocument(queue, all))
    // Bytes that came are told on a terminal alone.
    const gist = JSON.stringify(rowsOf(queue, all).map(({ image, state, failed }) => [image, state, failed?.attempts]))
    if (gist !== before) io.stdout.write(text === undefined ? `${now}\n` : now)
    before = gist
  }
  if (text === undefined && isLive(io.stdout, io.env)) await watchLive(session, backend, all)
  else await backend.watchQueue(show, { signal })
  signal.throwIfAborted()
}

async function watchLive({ io, signal }: Session, backend: Backend, all: boolean): Promise<void> {
  const draw = (queue: NodeQueue, { columns }: Size) => queueForPeople(queue, all, columns).trimEnd().split('\n')
  await showLive<NodeQueue, void>(io.stdout, { pulls: [] }, draw, (onChange) => backend.watchQueue(onChange, { signal }))
}

/** One line of the queue. `for`: `pod`, `list NAME`, or who else asked, each once for each. */
type Row = {
  readonly image: string
  readonly state: PullStatus['phase'] | QueuedImage['state']['kind']
  readonly for: readonly string[]
  /** Of the list; a pull that somebody waits for goes before any. */
  readonly priority?: number
  readonly bytes?: { readonly done: number; readonly of: number }
  readonly since?: Date
  readonly next?: Date
  readonly failed?: { readonly reason: string; readonly attempts: number }
  readonly isProtected?: boolean
}

/** A pull that lists alone want is their image's line; one that somebody waits for has a line of its own. */
function rowsOf({ pulls, declared }: NodeQueue, all: boolean): readonly Row[] {
  const images = declared?.images ?? []
  const awaited = pulls.filter(isAwaited)
  const listsOf = (reference: string): readonly string[] =>
    images.filter(({ name, state }) => name === reference && state.kind === 'pulling').map(({ list }) => `list ${list}`)
  const urgent = awaited.map(({ reference, phase, clients, layers, startedAt }): Row => {
    const callers = clients.filter((client) => client !== 'prepull').map((client) => (client === 'cri' ? 'pod' : client))
    return { image: reference, state: phase, for: [...callers, ...listsOf(reference)], since: startedAt, ...bytesOf(layers) }
  })
  const others = images
    .filter(({ name, state }) => (all || state.kind !== 'here') && !awaited.some(({ reference }) => reference === name))
    .map(({ list, name, priority, state }): Row => {
      const pull = pulls.find(({ reference }) => reference === name)
      const common = { image: name, for: [`list ${list}`], priority }
      if (state.kind !== 'pulling') return { ...common, state: state.kind, ...detailsOf(state) }
      return { ...common, ...detailsOf(state), state: pull?.phase ?? 'pulling', ...bytesOf(pull?.layers ?? []) }
    })
  const isRunning = ({ state }: Row): boolean => !['waiting', 'here', 'failed'].includes(state)
  return [...urgent, ...others.filter(isRunning), ...others.filter((row) => !isRunning(row))]
}

function detailsOf(state: QueuedImage['state']): Partial<Row> {
  switch (state.kind) {
    case 'waiting':
      return state.until === undefined ? {} : { next: state.until }
    case 'pulling':
      return { since: state.since, ...(state.failed === undefined ? {} : { failed: state.failed }) }
    case 'here':
      return { since: state.at, isProtected: state.isProtected, ...(state.next === undefined ? {} : { next: state.next }) }
    case 'failed':
      return { next: state.next, failed: { reason: state.reason, attempts: state.attempts } }
  }
}

const bytesOf = (layers: PullStatus['layers']): Pick<Row, 'bytes'> => (layers.length === 0 ? {} : { bytes: bytesCome(layers) })

const queueDocument = (queue: NodeQueue, all: boolean) => ({
  images: rowsOf(queue, all).map(({ failed, ...row }) => ({ ...row, ...failed })),
  lists: queue.declared?.lists ?? [],
  ...(queue.declared?.held === undefined ? {} : { held: queue.declared.held }),
  problems: queue.declared?.problems ?? [],
})

function queueForPeople(queue: NodeQueue, all: boolean, width: number): string {
  const rows = rowsOf(queue, all).map(({ image, state, for: whom, priority, bytes: come, next, failed, isProtected }) => [
    image,
    isProtected === false ? 'unprotected' : state,
    come === undefined ? '' : `${bytes(come.done)} / ${bytes(come.of)}`,
    whom.join(', '),
    priority === undefined ? 'first' : String(priority),
    next === undefined || next.getTime() <= Date.now() ? '' : `in ${duration(next.getTime() - Date.now())}`,
    failed === undefined ? '' : `${failed.attempts}× ${reasonBeside(image, failed.reason)}`,
  ])
  const header = ['IMAGE', 'STATE', 'BYTES', 'FOR', 'PRIORITY', 'NEXT', 'FAILED']
  const flexible = [{ column: 'IMAGE', least: 16, loses: 'middle' }] as const
  const fitting = { width, flexible, expendable: ['BYTES', 'PRIORITY', 'FAILED'] }
  const shown = rows.length === 0 ? '' : fittedTable(header, rows, fitting)
  return `${shown}${summaryOf(queue)}`
}

function summaryOf({ pulls, declared }: NodeQueue): string {
  if (declared === undefined)
    return pulls.length === 0 ? 'nothing is pulled, and no lists are configured (prepull.listDir)\n' : ''
  const { lists, images, problems, held } = declared
  const here = images.filter(({ state }) => state.kind === 'here')
  const unprotected = here.filter(({ state }) => state.kind === 'here' && !state.isProtected).length
  const count = `${here.length} of ${plural(images.length, 'declared image')} here, in ${plural(lists.length, 'list')}`
  return [
    `${count}${unprotected === 0 ? '' : `; ${unprotected} unprotected: kubelet may remove them`}\n`,
    ...(held === undefined ? [] : [`nothing more begins: ${printable(held)}\n`]),
    ...problems.map((problem) => `not in force: ${printable(problem)}\n`),
  ].join('')
}
