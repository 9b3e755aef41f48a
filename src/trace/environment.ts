/** The OpenTelemetry variables that count here, checked (specification: "Environment Variables", "OTLP Exporter Configuration"). */
import { z } from 'zod'
import type { Sampler } from './context.ts'

export type TraceSettings = {
  readonly url: URL
  /** May hold a login. */
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
  /** PEM file, in place of the system's authorities. */
  readonly certificate?: string
  readonly serviceName: string
  readonly resource: Readonly<Record<string, string>>
  readonly sampler: Sampler
}

/** `warnings` hold no value of a variable that may be secret. */
export type Traced = { readonly settings?: TraceSettings; readonly warnings: readonly string[] }

const MAX_TEXT = 4096
const DEFAULT_TIMEOUT_MS = 10_000

/** Without settings nothing is traced: nobody has asked for it, or it was asked for in a way that is none of ours. */
export function tracingFrom(env: Readonly<Record<string, string | undefined>>): Traced {
  const said = (name: string): string | undefined => env[name]?.trim() || undefined
  const own = said('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')
  const base = said('OTEL_EXPORTER_OTLP_ENDPOINT')
  const isOff = said('OTEL_SDK_DISABLED')?.toLowerCase() === 'true' || said('OTEL_TRACES_EXPORTER') === 'none'
  if (isOff || (own ?? base) === undefined) return { warnings: [] }
  const protocol = said('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') ?? said('OTEL_EXPORTER_OTLP_PROTOCOL') ?? 'http/json'
  if (!protocol.startsWith('http/')) {
    const way = "set it to http/json, and the endpoint to the collector's HTTP port, usually 4318"
    return { warnings: [`nothing is traced: OTEL_EXPORTER_OTLP_PROTOCOL is ${JSON.stringify(protocol.slice(0, 50))}; ${way}`] }
  }
  const url = endpoint(own, base)
  if (url === undefined) return { warnings: ['nothing is traced: OTEL_EXPORTER_OTLP_ENDPOINT is no http:// or https:// address'] }
  const warnings: string[] = []
  const warn = (text: string): void => void warnings.push(text)
  const certificate = said('OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE') ?? said('OTEL_EXPORTER_OTLP_CERTIFICATE')
  const { 'service.name': named, ...resource } = pairs('OTEL_RESOURCE_ATTRIBUTES', said('OTEL_RESOURCE_ATTRIBUTES'), warn)
  const headers = said('OTEL_EXPORTER_OTLP_TRACES_HEADERS') ?? said('OTEL_EXPORTER_OTLP_HEADERS')
  return {
    settings: {
      url,
      headers: pairs('OTEL_EXPORTER_OTLP_HEADERS', headers, warn),
      timeoutMs: timeout(said('OTEL_EXPORTER_OTLP_TRACES_TIMEOUT') ?? said('OTEL_EXPORTER_OTLP_TIMEOUT'), warn),
      ...(certificate === undefined ? {} : { certificate }),
      serviceName: said('OTEL_SERVICE_NAME') ?? named ?? 'windlass',
      resource,
      sampler: sampler(said('OTEL_TRACES_SAMPLER'), said('OTEL_TRACES_SAMPLER_ARG'), warn),
    },
    warnings,
  }
}

/** The one for traces is taken as it stands; below the other they have a path of their own. */
function endpoint(own: string | undefined, base: string | undefined): URL | undefined {
  const url = URL.parse(own ?? `${base?.replace(/\/+$/, '')}/v1/traces`)
  return url !== null && /^https?:$/.test(url.protocol) ? url : undefined
}

/** `key1=value1,key2=value2`, values percent-encoded (W3C Baggage). */
function pairs(name: string, text: string | undefined, warn: (text: string) => void): Record<string, string> {
  if (text === undefined) return {}
  const entries: [string, string][] = []
  for (const part of text
    .slice(0, MAX_TEXT)
    .split(',')
    .filter((each) => each.trim() !== '')) {
    const [, key, value] = /^\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(\S*)\s*$/.exec(part) ?? []
    const decoded = value === undefined ? undefined : decode(value)
    if (key === undefined || decoded === undefined) warn(`a part of ${name} is left out: want key=value, with commas between`)
    else entries.push([key, decoded])
  }
  return Object.fromEntries(entries)
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

function timeout(text: string | undefined, warn: (text: string) => void): number {
  if (text === undefined) return DEFAULT_TIMEOUT_MS
  const parsed = z.coerce.number().int().min(1).max(600_000).safeParse(text)
  if (!parsed.success) warn('OTEL_EXPORTER_OTLP_TIMEOUT is no whole number of milliseconds: 10000 holds')
  return parsed.data ?? DEFAULT_TIMEOUT_MS
}

function sampler(name: string | undefined, arg: string | undefined, warn: (text: string) => void): Sampler {
  const [, parent, kind] = /^(parentbased_)?(always_on|always_off|traceidratio)$/.exec(name ?? 'parentbased_always_on') ?? []
  if (kind === undefined) {
    warn('OTEL_TRACES_SAMPLER is none that is known here: parentbased_always_on holds')
    return { isParentBased: true, ratio: 1 }
  }
  const isParentBased = parent !== undefined
  if (kind !== 'traceidratio') return { isParentBased, ratio: kind === 'always_on' ? 1 : 0 }
  const ratio = z.coerce
    .number()
    .min(0)
    .max(1)
    .safeParse(arg ?? '1')
  if (!ratio.success) warn('OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1: 1 holds')
  return { isParentBased, ratio: ratio.data ?? 1 }
}
