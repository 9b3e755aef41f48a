/** Spans as OTLP writes them in JSON (opentelemetry-proto, "JSON Protobuf Encoding": ids in hex, 64-bit numbers as strings). */
import type { Attributes } from './trace.ts'

export type EndedSpan = {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: 'server' | 'internal'
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Attributes
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly error?: string
}

export type Resource = { readonly attributes: Attributes; readonly version: string }

const KINDS = { internal: 1, server: 2 } as const
const ERROR = 2

/** The body of an ExportTraceServiceRequest. */
export function traceRequest({ attributes, version }: Resource, spans: readonly EndedSpan[]): string {
  const scope = { name: 'windlass', version }
  const scopeSpans = [{ scope, spans: spans.map(spanMessage) }]
  return JSON.stringify({ resourceSpans: [{ resource: { attributes: pairsOf(attributes) }, scopeSpans }] })
}

function spanMessage({ kind, startMs, endMs, attributes, error, ...span }: EndedSpan): object {
  return {
    ...span,
    kind: KINDS[kind],
    startTimeUnixNano: nanos(startMs),
    endTimeUnixNano: nanos(Math.max(startMs, endMs)),
    attributes: pairsOf(attributes),
    ...(error === undefined ? {} : { status: { code: ERROR, message: error } }),
  }
}

/** Doubles do not hold nanoseconds since 1970. */
const nanos = (ms: number): string =>
  (BigInt(Math.floor(ms)) * 1_000_000n + BigInt(Math.round((ms - Math.floor(ms)) * 1e6))).toString()

const pairsOf = (attributes: Attributes): object[] =>
  Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }))

function anyValue(value: string | number | boolean): object {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}
