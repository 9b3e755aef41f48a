/** A pull as a trace: its steps as spans below one, which hangs on the caller's own. */
import type { BegunPull, PullEnd, PullListener } from '../pull/observer.ts'
import type { LayerReport, PullEvent } from '../pull/pull.ts'
import { formatReference } from '../reference/parse.ts'
import type { Part, Span, Tracer } from '../trace/trace.ts'

/** Undefined where this trace is not recorded. */
export function tracePull(
  tracer: Tracer,
  { id, reference, client, startedAt, traceparent }: BegunPull,
): PullListener | undefined {
  const span = tracer.start({
    name: 'PullImage',
    kind: traceparent === undefined ? 'internal' : 'server',
    startMs: startedAt.getTime(),
    attributes: {
      'windlass.pull.id': id,
      'windlass.client': client,
      'windlass.image.reference': formatReference(reference),
      'windlass.registry': reference.registry,
    },
    ...(traceparent === undefined ? {} : { parent: traceparent }),
  })
  if (span === undefined) return undefined
  return {
    event: (event) => {
      for (const part of partsOf(event, Date.now())) span.part(part)
    },
    joined: (other) => span.link(other),
    ended: (end) => endSpan(span, end),
  }
}

/** An event tells of what has just ended, and how long it took. */
function partsOf(event: PullEvent, now: number): readonly Part[] {
  switch (event.type) {
    case 'resolved': {
      const { ms, queuedMs, tokenMs, host } = event
      const began = now - ms
      const resolve = {
        name: 'resolve',
        startMs: began,
        endMs: now,
        attributes: { 'server.address': host, 'windlass.token_ms': Math.round(tokenMs) },
      }
      // Less than that nobody has waited.
      return queuedMs < 1 ? [resolve] : [{ name: 'queue', startMs: began - queuedMs, endMs: began, attributes: {} }, resolve]
    }
    case 'layer':
      return event.report.origin === 'here' ? [] : [layerPart(event.layer, event.report, now)]
    case 'sealed': {
      const { syncMs, publishMs } = event
      const attributes = { 'windlass.sync_ms': Math.round(syncMs), 'windlass.publish_ms': Math.round(publishMs) }
      return [{ name: 'seal', startMs: now - syncMs - publishMs, endMs: now, attributes }]
    }
    case 'stopped':
      return underWay(event, now)
    default:
      return []
  }
}

/** The step that a pull has failed in; in which layer it was its report says. */
function underWay({ step, stepMs, tokenMs }: Extract<PullEvent, { type: 'stopped' }>, now: number): readonly Part[] {
  const times = { startMs: now - stepMs, endMs: now }
  if (step === 'queued') return [{ name: 'queue', ...times, attributes: {} }]
  if (step === 'resolving') return [{ name: 'resolve', ...times, attributes: { 'windlass.token_ms': Math.round(tokenMs) } }]
  return step === 'sealing' ? [{ name: 'seal', ...times, attributes: {} }] : []
}

/** From the moment it waited for a worker to the moment it had its place: the worker's own account, laid end to end. */
function layerPart(layer: number, report: LayerReport, now: number): Part {
  const { origin, host, blobSize, diffSize, attempts, queuedMs, startMs, waitMs, unpackMs, belowMs, commitMs } = report
  return {
    name: 'layer',
    startMs: now - queuedMs - startMs - waitMs - unpackMs - belowMs - commitMs,
    endMs: now,
    attributes: {
      'windlass.layer': layer,
      'windlass.layer.origin': origin,
      ...(host === undefined ? {} : { 'server.address': host }),
      'windlass.layer.bytes': blobSize,
      'windlass.layer.unpacked_bytes': diffSize,
      'windlass.layer.attempts': attempts,
      'windlass.layer.queued_ms': Math.round(queuedMs),
      'windlass.layer.start_ms': Math.round(startMs),
      'windlass.layer.network_ms': Math.round(waitMs),
      'windlass.layer.unpack_ms': Math.round(unpackMs),
      'windlass.layer.below_ms': Math.round(belowMs),
      'windlass.layer.commit_ms': Math.round(commitMs),
    },
  }
}

function endSpan(span: Span, { result, report }: PullEnd): void {
  const { failure, imageId, platform, verdict } = report
  span.end({
    endMs: Date.now(),
    attributes: {
      'windlass.result': result,
      'windlass.verdict': verdict,
      ...(imageId === undefined ? {} : { 'windlass.image.id': imageId }),
      ...(platform === undefined ? {} : { 'windlass.platform': platform }),
      ...(failure === undefined ? {} : { 'error.type': failure.kind }),
    },
    ...(failure === undefined ? {} : { error: failure.message }),
  })
}
