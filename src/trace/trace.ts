/**
 * Traces of pulls for an OpenTelemetry collector, over OTLP/HTTP in JSON. Loaded only where an endpoint is configured.
 *
 *     environment.ts  the OTEL_* variables that count, checked
 *     context.ts      whose trace a span belongs to (W3C Trace Context), and whether it is recorded
 *     tracer.ts       spans as they begin and end
 *     otlp.ts         spans as OTLP writes them
 *     exporter.ts     a bounded queue and one request at a time: what does not fit is dropped and counted, and no pull waits for it
 */

export type Attributes = Readonly<Record<string, string | number | boolean>>

export interface Tracer extends AsyncDisposable {
  /** Undefined where this trace is not recorded. Times are milliseconds since 1970. */
  start(span: NewSpan): Span | undefined
}

export type NewSpan = {
  readonly name: string
  /** `server`: somebody called us for it. */
  readonly kind: 'server' | 'internal'
  /** The caller's traceparent, as it came; one that makes no sense is none. */
  readonly parent?: string
  readonly startMs: number
  readonly attributes: Attributes
}

export interface Span {
  /** A part of it that has ended; it never begins before the whole does. */
  part(part: Part): void
  /** Somebody else's trace that this work is done for, too. */
  link(traceparent: string): void
  /** Sent from here on; nothing of it counts after that. */
  end(end: { readonly endMs: number; readonly attributes: Attributes; readonly error?: string }): void
}

export type Part = {
  readonly name: string
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Attributes
}
