/** What programs are given (`-o json`, `-o yaml`, `--json`): a platform is one string everywhere, times are good to a hundredth of a ms. */
import { formatPlatform } from '../platform/platform.ts'
import type { LayerReport, PullEvent, PullPlan, PullStatus } from '../pull/pull.ts'
import { kindOf, textOf } from './failures.ts'

export const rounded = (ms: number): number => Math.round(ms * 100) / 100

export const planDocument = (plan: PullPlan) => ({ ...plan, platform: formatPlatform(plan.platform) })

export const statusDocument = (pull: PullStatus) => ({ ...pull, platform: formatPlatform(pull.platform) })

export const reportDocument = (report: LayerReport): LayerReport => ({
  ...report,
  queuedMs: rounded(report.queuedMs),
  networkMs: rounded(report.networkMs),
  unpackMs: rounded(report.unpackMs),
})

export function eventDocument(event: PullEvent): Readonly<Record<string, unknown>> {
  switch (event.type) {
    case 'resolved':
      return { ...event, platform: formatPlatform(event.platform), ms: rounded(event.ms) }
    case 'planned':
      return { ...event, plan: planDocument(event.plan) }
    case 'layer':
      return { ...event, report: reportDocument(event.report) }
    case 'sealed':
      return { ...event, syncMs: rounded(event.syncMs), publishMs: rounded(event.publishMs) }
    case 'done':
      return { ...event, ms: rounded(event.ms) }
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
