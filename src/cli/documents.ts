/** What programs are given (`-o json`, `-o yaml`, `--json`): a platform is one string everywhere, times are good to a hundredth of a ms. */
import { formatPlatform } from '../platform/platform.ts'
import type { LayerReport, PullEvent, PullPlan, PullStatus, UnfinishedLayer } from '../pull/pull.ts'
import type { PullReport } from '../pull/report.ts'
import { criticalPath } from '../pull/verdict.ts'
import { kindOf, textOf } from './failures.ts'

export const rounded = (ms: number): number => Math.round(ms * 100) / 100

export const planDocument = (plan: PullPlan) => ({ ...plan, platform: formatPlatform(plan.platform) })

export const statusDocument = (pull: PullStatus) => ({ ...pull, platform: formatPlatform(pull.platform) })

export const reportDocument = (report: LayerReport): LayerReport => ({
  ...report,
  queuedMs: rounded(report.queuedMs),
  startMs: rounded(report.startMs),
  networkMs: rounded(report.networkMs),
  unpackMs: rounded(report.unpackMs),
  waitMs: rounded(report.waitMs),
  inflateMs: rounded(report.inflateMs),
  hashMs: rounded(report.hashMs),
  writeMs: rounded(report.writeMs),
  belowMs: rounded(report.belowMs),
  commitMs: rounded(report.commitMs),
})

const unfinishedDocument = (layer: UnfinishedLayer): UnfinishedLayer => ({ ...layer, ms: rounded(layer.ms) })

/** With the critical path, which is made from the rest. */
export function historyDocument({ startedAtMs, layers, unfinished, ...report }: PullReport) {
  const { ms, queuedMs, resolveMs, tokenMs, roomMs, syncMs, publishMs } = report
  const times = { ms, queuedMs, resolveMs, tokenMs, roomMs, syncMs, publishMs }
  return {
    ...report,
    ...Object.fromEntries(Object.entries(times).map(([name, value]) => [name, rounded(value)])),
    startedAt: new Date(startedAtMs),
    layers: layers.map((layer) => ({ layer: layer.layer, digest: layer.digest, ...reportDocument(layer) })),
    ...(unfinished.length === 0 ? {} : { unfinished: unfinished.map(unfinishedDocument) }),
    criticalPath: criticalPath({ ...report, layers, unfinished }).map((step) => ({ ...step, ms: rounded(step.ms) })),
  }
}

export function eventDocument(event: PullEvent): Readonly<Record<string, unknown>> {
  switch (event.type) {
    case 'resolved':
      return {
        ...event,
        platform: formatPlatform(event.platform),
        ms: rounded(event.ms),
        queuedMs: rounded(event.queuedMs),
        tokenMs: rounded(event.tokenMs),
      }
    case 'planned':
      return { ...event, plan: planDocument(event.plan) }
    case 'layer':
      return { ...event, report: reportDocument(event.report) }
    case 'sealed':
      return { ...event, syncMs: rounded(event.syncMs), publishMs: rounded(event.publishMs) }
    case 'done':
      return { ...event, ms: rounded(event.ms) }
    case 'room':
      return { ...event, ms: rounded(event.ms) }
    case 'stopped': {
      const { ms, stepMs, queuedMs, tokenMs } = event
      const times = { ms: rounded(ms), stepMs: rounded(stepMs), queuedMs: rounded(queuedMs), tokenMs: rounded(tokenMs) }
      return { ...event, ...times, layers: event.layers.map(unfinishedDocument) }
    }
    case 'begun':
    case 'progress':
      return event
  }
}

/** The last line of a pull that failed. `kind` is one of the failures', or `unknown` where a daemon did not say. */
export const failureDocument = (error: unknown): Readonly<Record<string, unknown>> => ({
  type: 'failed',
  kind: kindOf(error) ?? 'unknown',
  message: textOf(error),
})
