/** When to ask again, and how long to wait before it. */
import { setTimeout as delay } from 'node:timers/promises'
import { cancelledBy, type Trouble } from './errors.ts'
import type { PauseKind } from './pauses.ts'

/** Tries without progress before the last host is given up. */
export const MAX_TRIES = 5
/** Where another host can be asked instead, it is asked soon. */
const MAX_TRIES_BEFORE_NEXT_HOST = 2
/** Nobody waits longer than this for a registry that asks to wait: the failure says how long it wants. */
export const MAX_RETRY_AFTER_MS = 60_000
/** A try that brings less of a blob is one without progress: a peer that hands out bytes one by one is not waited for. */
export const WORTH_A_TRY = 64 * 1024
/** Whoever names a longer time means no time at all. */
const MAX_MEANT_MS = 24 * 3_600_000
const FIRST_BACKOFF_MS = 200
const MAX_BACKOFF_MS = 5_000

/**
 * How long to wait before this host is asked again, or undefined where it should not be. `tries` counts those in a row without progress, 0
 * where this one had some; `begun` is true once it has delivered: a registry that restarts refuses connections for a moment.
 */
export function retryDelay(
  trouble: Trouble,
  tries: number,
  options: { readonly last: boolean; readonly begun: boolean },
): number | undefined {
  // What breaks while it brings something goes on at once.
  if (tries === 0 && trouble.kind === 'unreachable') return 0
  const nth = Math.max(tries, 1)
  if (nth >= (options.last ? MAX_TRIES : MAX_TRIES_BEFORE_NEXT_HOST)) return undefined
  switch (trouble.kind) {
    case 'absent':
    case 'refused':
    case 'failed':
      return undefined
    case 'unreachable':
      return trouble.definite && !options.begun ? undefined : backoff(nth)
    case 'server-error':
      return waitAsked(trouble.retryAfterMs, nth)
    case 'rate-limited':
      return options.last ? waitAsked(trouble.retryAfterMs, nth + 2) : undefined
  }
}

/** How long this trouble keeps everybody from its host, and as what; undefined where it is nobody else's. */
export function pauseAfter(trouble: Trouble, tries: number): { readonly ms: number; readonly kind: PauseKind } | undefined {
  if (trouble.kind !== 'rate-limited' && trouble.kind !== 'server-error') return undefined
  const { kind, retryAfterMs, saidBy } = trouble
  const ms = retryAfterMs ?? (kind === 'rate-limited' ? backoff(tries + 2) : 0)
  return saidBy !== undefined || ms === 0 ? undefined : { ms, kind }
}

const waitAsked = (askedMs: number | undefined, tries: number): number | undefined => {
  if (askedMs === undefined) return backoff(tries)
  return askedMs > MAX_RETRY_AFTER_MS ? undefined : spread(askedMs)
}

const backoff = (tries: number): number =>
  Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (tries - 1)) * (0.5 + Math.random() / 2)

/** A little later than asked, and not all at the same moment. */
export const spread = (ms: number): number => ms + Math.random() * 250

/** For spans that must not end for all at the same moment. */
export const jitter = (): number => 0.75 + Math.random() / 2

/** `Retry-After` in milliseconds from now, a day at most: seconds or an HTTP date (RFC 9110 §10.2.3); undefined where it is neither. */
export function parseRetryAfter(header: string | undefined, now = Date.now()): number | undefined {
  const text = header?.trim()
  if (text === undefined || text === '') return undefined
  if (/^\d+$/.test(text)) return Math.min(MAX_MEANT_MS, Number(text) * 1000)
  const date = /^[A-Z][a-z]{2},/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(date) ? undefined : Math.min(MAX_MEANT_MS, Math.max(0, date - now))
}

/** Waits; throws `cancelled` when the signal aborts. */
export async function wait(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal })
  } catch (error) {
    throw signal.aborted ? cancelledBy(signal) : error
  }
}
