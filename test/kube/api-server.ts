/**
 * As much of a kube-apiserver as its callers could notice: who may do what, which content types a patch has, what an Event must be, how
 * strategic merge patches merge, when a resourceVersion changes.
 */
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { join } from 'node:path'
import { z } from 'zod'

export type Condition = Readonly<Record<string, string>> & { readonly type: string }
export type StoredEvent = z.output<typeof eventSchema>
/** What is answered in place of what would be. */
export type Fault =
  | { readonly status: number; readonly reason?: string; readonly headers?: Readonly<Record<string, string>> }
  | 'hang-up'
export type LoggedRequest = { readonly method: string; readonly path: string; readonly type: string; readonly body: unknown }

const time = z.iso.datetime({ precision: 0 })
const conditionSchema = z.strictObject({
  type: z.string().regex(/^[a-z0-9.-]+\/[a-z0-9.-]+$/),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().regex(/^[A-Z][A-Za-z]*$/),
  message: z.string().max(32_768),
  lastHeartbeatTime: time,
  lastTransitionTime: time.optional(),
})
const deletionSchema = z.strictObject({ $patch: z.literal('delete'), type: z.string() })
const nodePatchSchema = z.strictObject({
  status: z.strictObject({ conditions: z.array(z.union([deletionSchema, conditionSchema])) }).optional(),
})
const eventSchema = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Event'),
  // legacyValidateEvent: what an Event about something without a namespace is in must be `default`.
  metadata: z.strictObject({ name: z.string().regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/), namespace: z.literal('default') }),
  involvedObject: z.strictObject({ apiVersion: z.literal('v1'), kind: z.literal('Node'), name: z.string(), uid: z.string() }),
  type: z.enum(['Normal', 'Warning']),
  reason: z.string().max(128),
  message: z.string().max(1_024),
  count: z.int().min(1),
  firstTimestamp: time,
  lastTimestamp: time,
  source: z.strictObject({ component: z.string(), host: z.string() }),
  reportingComponent: z.string(),
  reportingInstance: z.string(),
})
const eventPatchSchema = z.strictObject({ count: z.int().min(1), message: z.string().max(1_024), lastTimestamp: time })

const KUBELETS: Condition = { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'ok', lastHeartbeatTime: 'x' }

export interface ApiServer extends AsyncDisposable {
  readonly port: number
  readonly node: string
  /** Valid now. */
  token: string
  fault: ((request: LoggedRequest) => Fault | undefined) | undefined
  readonly requests: readonly LoggedRequest[]
  readonly headers: readonly IncomingHttpHeaders[]
  /** Those of the node that are not kubelet's. */
  conditions(): readonly Condition[]
  /** kubelet's own, which nobody else may touch. */
  readonly kubelets: Condition
  readonly events: Map<string, StoredEvent>
  resourceVersion(): number
  /** Calls back after each request, until it returns true. */
  until(isSo: () => boolean): Promise<void>
  /** Files as kubelet mounts them. */
  mountInto(dir: string, ca: string): void
}

type Certificate = { readonly cert: string; readonly key: string }

export async function startApiServer(node: string, certificate?: Certificate): Promise<ApiServer> {
  let conditions: readonly Condition[] = [KUBELETS]
  let version = 1
  const requests: LoggedRequest[] = []
  const headers: IncomingHttpHeaders[] = []
  const events = new Map<string, StoredEvent>()
  const looking = new Set<() => void>()

  const status = (code: number, reason: string, message: string, more: Readonly<Record<string, string>> = {}): Answer => ({
    code,
    headers: more,
    body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message },
  })
  const nodeObject = (): object => ({
    kind: 'Node',
    apiVersion: 'v1',
    metadata: { name: node, uid: 'a-uid', resourceVersion: String(version) },
    status: { images: Array.from({ length: 50 }, (_, at) => ({ names: [`image-${at}`], sizeBytes: 1 })), conditions },
  })
  const patchNode = (body: unknown): Answer => {
    const patch = nodePatchSchema.safeParse(body)
    if (!patch.success) return status(422, 'Invalid', patch.error.message)
    let next = conditions
    for (const change of patch.data.status?.conditions ?? []) {
      const before = next.find(({ type }) => type === change.type)
      const others = next.filter(({ type }) => type !== change.type)
      // Fields that a patch does not name stay; new elements come last.
      next =
        '$patch' in change
          ? others
          : before === undefined
            ? [...others, stringsOf(change)]
            : next.map((each) => (each === before ? { ...before, ...stringsOf(change) } : each))
    }
    // What changes nothing is no write.
    if (JSON.stringify(next) !== JSON.stringify(conditions)) version++
    conditions = next
    return { code: 200, body: nodeObject() }
  }
  const createEvent = (body: unknown): Answer => {
    const event = eventSchema.safeParse(body)
    if (!event.success) return status(422, 'Invalid', event.error.message)
    const { name } = event.data.metadata
    if (events.has(name)) return status(409, 'AlreadyExists', `events "${name}" already exists`)
    events.set(name, event.data)
    return { code: 201, body: event.data }
  }
  const patchEvent = (name: string, body: unknown): Answer => {
    const before = events.get(name)
    if (before === undefined) return status(404, 'NotFound', `events "${name}" not found`)
    const patch = eventPatchSchema.safeParse(body)
    if (!patch.success) return status(422, 'Invalid', patch.error.message)
    events.set(name, { ...before, ...patch.data })
    return { code: 200, body: { ...before, ...patch.data } }
  }
  const answerTo = ({ method, path, type, body }: LoggedRequest, authorization: string | undefined): Answer => {
    if (authorization !== `Bearer ${server.token}`) return status(401, 'Unauthorized', 'Unauthorized')
    const [, event] = /^\/api\/v1\/namespaces\/default\/events\/([^/]+)$/.exec(path) ?? []
    const isNode = path === `/api/v1/nodes/${node}/status`
    if (method === 'PATCH' && (isNode || event !== undefined)) {
      // apimachinery: a patch has one of these types, or is 415.
      if (type !== 'application/strategic-merge-patch+json') return status(415, 'UnsupportedMediaType', `the body was ${type}`)
      return isNode ? patchNode(body) : patchEvent(event ?? '', body)
    }
    if (method === 'POST' && path === '/api/v1/namespaces/default/events')
      return type === 'application/json' ? createEvent(body) : status(415, 'UnsupportedMediaType', `the body was ${type}`)
    // deploy/kubernetes/cluster/rbac.yaml allows no more.
    return status(403, 'Forbidden', `cannot ${method} ${path}`)
  }

  const listener: Parameters<typeof createServer>[1] = async (request, response) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    const { method = '', url: path = '' } = request
    const logged = {
      method,
      path,
      type: request.headers['content-type'] ?? '',
      body: JSON.parse(Buffer.concat(pieces).toString()),
    }
    requests.push(logged)
    headers.push(request.headers)
    const fault = server.fault?.(logged)
    if (fault === 'hang-up') request.socket.destroy()
    else {
      const answer =
        fault === undefined
          ? answerTo(logged, request.headers.authorization)
          : status(fault.status, fault.reason ?? '', 'a fault', fault.headers)
      response.writeHead(answer.code, { 'content-type': 'application/json', ...answer.headers }).end(JSON.stringify(answer.body))
    }
    for (const look of looking) look()
  }
  const http = certificate === undefined ? createServer(listener) : createTlsServer(certificate, listener)
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const address = http.address()
  const server: ApiServer = {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    node,
    token: 'token-1',
    fault: undefined,
    requests,
    headers,
    conditions: () => conditions.filter(({ type }) => type !== KUBELETS.type),
    get kubelets() {
      return conditions.find(({ type }) => type === KUBELETS.type) ?? { type: 'it has gone' }
    },
    events,
    resourceVersion: () => version,
    until: (isSo) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!isSo()) return
          looking.delete(look)
          resolve()
        }
        looking.add(look)
        look()
      }),
    mountInto: (dir, ca) => {
      mkdirSync(dir, { recursive: true })
      writeFileSync(join(dir, 'token'), `${server.token}\n`)
      writeFileSync(join(dir, 'ca.crt'), ca)
    },
    [Symbol.asyncDispose]: async () => {
      http.closeAllConnections()
      http.close()
      await once(http, 'close')
    },
  }
  return server
}

type Answer = { readonly code: number; readonly headers?: Readonly<Record<string, string>>; readonly body: object }

/** Without those that are undefined. */
const stringsOf = (condition: z.output<typeof conditionSchema>): Condition =>
  Object.fromEntries(Object.entries(condition).filter(([, value]) => value !== undefined)) as Condition
