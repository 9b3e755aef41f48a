/** Whose trace a span belongs to (W3C Trace Context, level 1), and whether it is recorded. */
import { randomBytes } from 'node:crypto'

export type TraceContext = { readonly traceId: string; readonly spanId: string; readonly isSampled: boolean }

/** §3.2.2: a version we do not know may have more behind the flags; all zeros are no id. */
const TRACEPARENT = /^(?<version>[0-9a-f]{2})-(?<trace>[0-9a-f]{32})-(?<span>[0-9a-f]{16})-(?<flags>[0-9a-f]{2})(?<more>-.*)?$/

export function parseTraceparent(text: string | undefined): TraceContext | undefined {
  const groups = text === undefined || text.length > 512 ? undefined : TRACEPARENT.exec(text.trim())?.groups
  if (groups === undefined) return undefined
  const { version = '', trace = '', span = '', flags = '', more } = groups
  const isKnown = version === '00' ? more === undefined : version !== 'ff'
  if (!isKnown || /^0+$/.test(trace) || /^0+$/.test(span)) return undefined
  return { traceId: trace, spanId: span, isSampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

/** Never all zeros: that is no id. */
export function newId(bytes: 8 | 16): string {
  for (;;) {
    const id = randomBytes(bytes).toString('hex')
    if (!/^0+$/.test(id)) return id
  }
}

/** `parent` follows the caller's decision where there is a caller; `ratio` is the share of the others. */
export type Sampler = { readonly isParentBased: boolean; readonly ratio: number }

export function isRecorded({ isParentBased, ratio }: Sampler, traceId: string, parent: TraceContext | undefined): boolean {
  if (isParentBased && parent !== undefined) return parent.isSampled
  // As OpenTelemetry's TraceIdRatioBased: the same trace is recorded by all who see it, or by none.
  return Number(BigInt(`0x${traceId.slice(16)}`) >> 11n) < ratio * 2 ** 53
}
