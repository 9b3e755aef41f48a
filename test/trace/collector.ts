/** A collector that takes nothing that is not OTLP/HTTP in JSON (opentelemetry-proto, trace.proto and its JSON encoding). */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'

const uint64 = z.string().regex(/^\d{1,20}$/)
const hex = (digits: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${digits}}$`))
    .refine((id) => !/^0+$/.test(id), 'all zeros are no id')
const attribute = z.strictObject({
  key: z.string().min(1),
  value: z.union([
    z.strictObject({ stringValue: z.string() }),
    z.strictObject({ boolValue: z.boolean() }),
    z.strictObject({ intValue: z.string().regex(/^-?\d+$/) }),
    z.strictObject({ doubleValue: z.number() }),
  ]),
})
const attributes = z.array(attribute).refine((all) => new Set(all.map(({ key }) => key)).size === all.length, 'keys are unique')
const span = z
  .strictObject({
    traceId: hex(32),
    spanId: hex(16),
    parentSpanId: hex(16).optional(),
    name: z.string().min(1),
    kind: z.number().int().min(1).max(5),
    startTimeUnixNano: uint64,
    endTimeUnixNano: uint64,
    attributes,
    links: z.array(z.strictObject({ traceId: hex(32), spanId: hex(16) })),
    status: z.strictObject({ code: z.number().int().min(0).max(2), message: z.string().optional() }).optional(),
  })
  .refine(
    ({ startTimeUnixNano, endTimeUnixNano }) => BigInt(startTimeUnixNano) <= BigInt(endTimeUnixNano),
    'it ends before it begins',
  )
const requestSchema = z.strictObject({
  resourceSpans: z.array(
    z.strictObject({
      resource: z.strictObject({ attributes }),
      scopeSpans: z.array(
        z.strictObject({ scope: z.strictObject({ name: z.string(), version: z.string() }), spans: z.array(span).min(1) }),
      ),
    }),
  ),
})

export type CollectedSpan = Omit<z.output<typeof span>, 'attributes'> & { readonly attributes: Record<string, unknown> }

/** What it answers in place of 200; `hold` waits first. */
export type Answer = {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly hold?: Promise<void>
}

export interface Collector extends AsyncDisposable {
  readonly endpoint: string
  readonly spans: readonly CollectedSpan[]
  readonly resources: readonly Record<string, unknown>[]
  readonly requests: readonly { readonly headers: IncomingHttpHeaders; readonly body: string }[]
  /** What was no OTLP. */
  readonly problems: readonly string[]
  answer: ((request: number) => Answer | undefined) | undefined
  /** Resolves once there are so many spans of this name. */
  until(name: string, count: number): Promise<readonly CollectedSpan[]>
}

const plain = (pairs: readonly z.output<typeof attribute>[]): Record<string, unknown> =>
  Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]))

export async function startCollector(): Promise<Collector> {
  const spans: CollectedSpan[] = []
  const resources: Record<string, unknown>[] = []
  const requests: { headers: IncomingHttpHeaders; body: string }[] = []
  const problems: string[] = []
  const looking = new Set<() => void>()
  const take = (body: string): void => {
    for (const { resource, scopeSpans } of requestSchema.parse(JSON.parse(body)).resourceSpans) {
      resources.push(plain(resource.attributes))
      for (const each of scopeSpans.flatMap((scope) => scope.spans)) spans.push({ ...each, attributes: plain(each.attributes) })
    }
    for (const look of looking) look()
  }
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    const body = Buffer.concat(pieces).toString()
    requests.push({ headers: request.headers, body })
    const { status = 200, headers = {}, body: text = '{}', hold } = collector.answer?.(requests.length) ?? {}
    await hold
    try {
      if (request.method !== 'POST' || request.url !== '/v1/traces') throw new Error(`${request.method} ${request.url}`)
      if (request.headers['content-type'] !== 'application/json')
        throw new Error(`content-type ${request.headers['content-type']}`)
      if (status === 200) take(body)
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
    } catch (error) {
      problems.push(String(error))
      response.writeHead(400).end()
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const collector: Collector = {
    endpoint: `http://127.0.0.1:${port}`,
    spans,
    resources,
    requests,
    problems,
    answer: undefined,
    until: (name, count) =>
      new Promise((resolve) => {
        const look = (): void => {
          const named = spans.filter((each) => each.name === name)
          if (named.length < count) return
          looking.delete(look)
          resolve(named)
        }
        looking.add(look)
        look()
      }),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return collector
}
