/** Asks the hosts of a repository in order, each as often as makes sense, until one delivers. */
import type { Permit } from '../task/limiter.ts'
import type { Abortable } from '../task/task.ts'
import { failureFor, type Result, type TriedHost, type Trouble, type Wanted } from './errors.ts'
import type { RegistryEvent } from './events.ts'
import type { HostHealth } from './health.ts'
import type { Host } from './hosts.ts'
import type { PaceLimits } from './pace.ts'
import { type Attempt, PATIENCE_MS, Patience, patientAttempt, tooLate } from './patience.ts'
import { pauseLeft } from './pauses.ts'
import { MAX_RETRY_AFTER_MS, MAX_TRIES, pauseAfter, retryDelay, spread, wait } from './retry.ts'

/** What is known of a transfer that spans tries and hosts. `mark` grows with each piece of progress worth the name. */
export type Progress = { mark: number }

export type Walk = Abortable & {
  readonly hosts: readonly Host[]
  readonly path: string
  readonly wanted: Wanted
  readonly health: HostHealth
  readonly pace: PaceLimits
  readonly log: (event: RegistryEvent) => void
  /** No host is waited for as if it were the last one. */
  readonly hurried?: boolean
  /** Waits for a connection's place; none is needed by default. */
  readonly admit?: (host: Host, options: Abortable) => Promise<Permit>
}

export type Ask<T> = (host: Host, attempt: Attempt) => Promise<Result<T>>

/** Throws the one failure that names all hosts tried, what `ask` throws, and `cancelled`. */
export async function walk<T>(options: Walk, ask: Ask<T>, progress: Progress = { mark: 0 }): Promise<T> {
  const { health, path, log, hurried = false } = options
  const { up, down } = health.order(options.hosts)
  const tried = new Map<Host, Trouble>()
  const turn = async (host: Host, patient: boolean): Promise<{ readonly value: T } | undefined> => {
    const result = await persist(options, host, patient, ask, progress)
    if ('value' in result) return result
    tried.set(host, result.trouble)
    log({ type: 'host-failed', host: host.name, path, reason: result.trouble.result })
    return undefined
  }
  for (const host of [...up, ...down]) {
    const delivered = await turn(host, host === up.at(-1) && !hurried)
    if (delivered !== undefined) return delivered.value
  }
  // A mirror that has to fetch it first may be slow, and the only one that can be reached.
  for (const host of hurried || [...tried.values()].some(isAnswer) ? [] : [...up.slice(0, -1), ...down]) {
    const trouble = tried.get(host)
    if (trouble?.kind !== 'unreachable' || trouble.silent !== true) continue
    const delivered = await turn(host, true)
    if (delivered !== undefined) return delivered.value
  }
  throw failureFor(
    options.wanted,
    options.hosts.flatMap((host) => triedAt(host, tried)),
  )
}

const isAnswer = ({ kind }: Trouble): boolean => kind === 'absent' || kind === 'refused' || kind === 'failed'

function triedAt(host: Host, tried: ReadonlyMap<Host, Trouble>): TriedHost[] {
  const trouble = tried.get(host)
  return trouble === undefined ? [] : [{ host: host.name, trouble }]
}

/** One host, until it delivers or there is no use in asking on; a host that is not the last one for as long as there is patience. */
async function persist<T>(walk: Walk, host: Host, patient: boolean, ask: Ask<T>, progress: Progress): Promise<Result<T>> {
  const { path, log, signal, health } = walk
  const atStart = progress.mark
  let patienceMs = PATIENCE_MS
  for (let tries = 1; ; tries++) {
    const paused = await sitOutPause(walk, host, patient, tries)
    if (paused === 'closed') continue
    if (paused !== undefined) return { trouble: paused }

    const before = progress.mark
    const { result, spentMs, isLate } = await once(walk, host, patient ? undefined : patienceMs, ask)
    if ('value' in result) {
      health.served(host)
      return result
    }
    const { trouble } = result
    const hasProgress = progress.mark > before
    // Who delivers is waited for anew.
    patienceMs = hasProgress ? PATIENCE_MS : patienceMs - spentMs
    if (hasProgress) tries = 0
    const pause = pauseAfter(trouble, tries)
    if (pause !== undefined) health.pause(host, pause.ms, pause.kind)
    else if (isAnswer(trouble)) health.answered(host)
    const begun = progress.mark > atStart
    const delayMs = retryDelay(trouble, tries, { last: patient, begun })
    const isGivenUp = delayMs === undefined || isLate || (!patient && delayMs > patienceMs)
    if (isGivenUp) {
      if (isOutage(trouble)) health.failed(host)
      return result
    }
    // A pause that was asked for is sat out with everybody else's.
    if (pause !== undefined) continue
    log({ type: 'retry', host: host.name, path, reason: trouble.result, delayMs })
    await wait(delayMs, signal)
  }
}

/** One try, within what is left of the patience where there is an end to it. */
async function once<T>(
  walk: Walk,
  host: Host,
  patienceMs: number | undefined,
  ask: Ask<T>,
): Promise<{ readonly result: Result<T>; readonly spentMs: number; readonly isLate: boolean }> {
  using _place = await walk.admit?.(host, walk)
  if (patienceMs === undefined) {
    const result = await ask(host, patientAttempt(walk, walk.pace))
    return { result, spentMs: 0, isLate: false }
  }
  using patience = new Patience(patienceMs)
  try {
    const result = await ask(host, patience.attempt(walk, walk.pace))
    const isLate = 'trouble' in result && result.trouble.kind === 'unreachable' && result.trouble.silent === true
    return { result, spentMs: patience.spentMs, isLate }
  } catch (error) {
    if (!patience.isOver || walk.signal.aborted) throw error
    return { result: { trouble: tooLate() }, spentMs: patience.spentMs, isLate: true }
  }
}

/** Waits where the host has asked somebody to wait. The trouble where that is too long; `closed` where it was then asked for again. */
async function sitOutPause(
  { path, log, signal, health }: Walk,
  host: Host,
  patient: boolean,
  tries: number,
): Promise<Trouble | 'closed' | undefined> {
  const pause = health.enter(host)
  if (pause === undefined) return undefined
  const { kind, leftMs } = pause
  const result = pauseLeft(pause)
  const isTooLong = !patient || leftMs > MAX_RETRY_AFTER_MS || tries > MAX_TRIES
  if (isTooLong) return { kind, result, retryAfterMs: leftMs }
  const delayMs = spread(leftMs)
  log({ type: 'retry', host: host.name, path, reason: result, delayMs })
  await wait(delayMs, signal)
  return health.enter(host) === undefined ? undefined : 'closed'
}

const isOutage = ({ kind }: Trouble): boolean => kind === 'unreachable' || kind === 'server-error'
