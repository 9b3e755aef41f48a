/** Spans as they begin and end. */
import { isRecorded, newId, parseTraceparent } from './context.ts'
import { Exporter, type ExporterOptions } from './exporter.ts'
import type { EndedSpan } from './otlp.ts'
import type { NewSpan, Span, Tracer } from './trace.ts'

export type TracerOptions = Omit<ExporterOptions, 'resource'> & { readonly version: string; readonly host: string }

/** As many traces may hang on one span: two hundred pods may want one image. */
const MAX_LINKS = 32

/** Throws the system's error for a certificate that cannot be read. */
export function createTracer({ version, host, ...options }: TracerOptions): Tracer {
  const { serviceName, resource: said, sampler } = options.settings
  const attributes = { 'host.name': host, ...said, 'service.name': serviceName, 'service.version': version }
  const exporter = new Exporter({ ...options, resource: { attributes, version } })
  return {
    start: (span) => {
      const parent = parseTraceparent(span.parent)
      const traceId = parent?.traceId ?? newId(16)
      if (!isRecorded(sampler, traceId, parent)) return undefined
      return recording(span, { traceId, ...(parent === undefined ? {} : { parentSpanId: parent.spanId }) }, (ended) =>
        exporter.add(ended),
      )
    },
    [Symbol.asyncDispose]: () => exporter[Symbol.asyncDispose](),
  }
}

type Ids = Pick<EndedSpan, 'traceId' | 'parentSpanId'>

function recording({ name, kind, startMs, attributes }: NewSpan, ids: Ids, add: (span: EndedSpan) => void): Span {
  const { traceId } = ids
  const spanId = newId(8)
  const links: { traceId: string; spanId: string }[] = []
  return {
    part: (part) =>
      add({
        ...part,
        traceId,
        spanId: newId(8),
        parentSpanId: spanId,
        kind: 'internal',
        startMs: Math.max(startMs, part.startMs),
        links: [],
      }),
    link: (traceparent) => {
      const other = parseTraceparent(traceparent)
      if (other !== undefined && links.length < MAX_LINKS) links.push({ traceId: other.traceId, spanId: other.spanId })
    },
    end: ({ endMs, error, attributes: last }) =>
      add({
        ...ids,
        spanId,
        name,
        kind,
        startMs,
        endMs,
        attributes: { ...attributes, ...last },
        links,
        ...(error === undefined ? {} : { error }),
      }),
  }
}
