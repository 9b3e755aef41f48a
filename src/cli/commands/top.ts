/** `top`: a node at one glance, redrawn while somebody watches. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { fail } from '../../failure/failure.ts'
import type { PullStatus } from '../../pull/pull.ts'
import type { Abortable } from '../../task/task.ts'
import type { Backend } from '../backend.ts'
import { kindOf } from '../failures.ts'
import { isLive, painter } from '../io.ts'
import { print } from '../output.ts'
import { Screen } from '../progress/screen.ts'
import type { Session } from '../session.ts'
import { type Glance, glanceDocument, glanceLines } from '../top-view.ts'

/** Of those that ended. */
const LAST = 20
/** The disk tells nobody when it changes. */
const LOOK_MS = 2_000

export function addTop(program: Command, session: Session): void {
  program
    .command('top')
    .description('watch this node: pulls under way, those that ended and why some failed, the disk')
    .addHelpText(
      'after',
      `
On a terminal it is redrawn until interrupted; elsewhere, and with -o json or yaml, it is printed once.

Examples:
  windlass top
  windlass top | cat
  windlass -o json top | jq '.history[] | select(.failure) | {reference, verdict}'`,
    )
    .action(async () => {
      const { io } = session
      await using backend = await session.daemon()
      if (session.format() === 'table' && isLive(io.stdout, io.env)) return await watch(session, backend)
      const glance = await look(backend, session)
      await print(io, session.format(), glanceDocument(glance), () => {
        const lines = glanceLines(
          glance,
          { columns: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY },
          painter(io.stdout, io.env),
        )
        return `${lines.join('\n')}\n`
      })
    })
}

/** A daemon whose own way of pulling is not open says why, and has no pulls to tell of. */
async function unlessClosed<T>(ask: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await ask
  } catch (error) {
    if (isClosed(error)) return []
    throw error
  }
}

const isClosed = (error: unknown): boolean => ['passthrough', 'runtime-down'].includes(kindOf(error) ?? '')

async function look(backend: Backend, { signal }: Abortable): Promise<Glance> {
  const [daemon, pulls, history] = await Promise.all([
    backend.daemon({ signal }),
    unlessClosed(backend.pulls({ signal })),
    unlessClosed(backend.history({ limit: LAST }, { signal })),
  ])
  return { daemon: daemon ?? fail({ kind: 'internal', what: 'a daemon did not say which one it is' }), pulls, history }
}

async function watch({ io, signal }: Session, backend: Backend): Promise<void> {
  const failed = new AbortController()
  const options = { signal: AbortSignal.any([signal, failed.signal]) }
  let glance = await look(backend, options)
  const paint = painter(io.stdout, io.env)
  using screen = new Screen(io.stdout, (size) => glanceLines(glance, size, paint))
  const show = (now: Partial<Glance>): void => {
    glance = { ...glance, ...now }
    screen.update()
  }
  const lookAgain = (): void => void look(backend, options).then(show, (error: unknown) => failed.abort(error))
  const clock = setInterval(lookAgain, LOOK_MS)
  show({})
  try {
    while (!options.signal.aborted) await watchPulls(backend, (pulls) => show({ pulls }), options)
  } finally {
    clearInterval(clock)
  }
  options.signal.throwIfAborted()
}

/** Until they are told of no more, and then a while: what is closed may be opened. */
async function watchPulls(backend: Backend, onChange: (pulls: readonly PullStatus[]) => void, options: Abortable): Promise<void> {
  try {
    await backend.watchPulls(onChange, options)
  } catch (error) {
    if (!isClosed(error)) throw error
    onChange([])
  }
  await delay(LOOK_MS, undefined, options).catch(() => {})
}
