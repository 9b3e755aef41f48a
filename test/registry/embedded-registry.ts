/**
 * A registry within this process, on loopback: what tests and the demo pull from. It keeps what it is given in memory (big blobs as
 * paths), writes a log of all requests, and answers wrongly on request.
 */

import { createHash } from 'node:crypto'
import { createReadStream, statSync } from 'node:fs'
import { createServer as createHttpServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { type Digest, digestOfHex, isDigest, sha256 } from '../../src/oci/digest.ts'
import { type Body, type BodyFault, sendBody, sizeOf } from './send-body.ts'
import { type Auth, type AuthorizationKind, authorizationKind, TokenServer } from './token-server.ts'

export type { Auth } from './token-server.ts'

/** How one request goes wrong. */
export type Fault =
  | BodyFault
  /** Another status than the true one; the body is a distribution-spec error when `code` is given. */
  | {
      readonly kind: 'status'
      readonly status: number
      readonly headers?: Record<string, string>
      readonly code?: string
      readonly body?: string
    }
  | { readonly kind: 'redirect'; readonly location: string; readonly status?: number }
  /** A Range is answered with 200 and everything. */
  | { readonly kind: 'ignore-range' }
  /** Headers of the true answer are replaced; an empty value leaves one out. */
  | { readonly kind: 'headers'; readonly headers: Record<string, string> }
  /** Other bytes than the true ones, with a Content-Length of their own. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly chunked?: boolean }
  /** Nothing is answered until `until` resolves; then the true answer. */
  | { readonly kind: 'hold'; readonly until: Promise<void> }
  /** The connection is closed without an answer. */
  | { readonly kind: 'hang-up' }
  /** Whatever this writes to the connection, in place of HTTP as Node speaks it. */
  | { readonly kind: 'raw'; readonly answer: (socket: Socket) => void }

/** One request as it came. */
export type LoggedRequest = {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly range: string | undefined
  readonly authorization: AuthorizationKind
  readonly headers: IncomingMessage['headers']
  /** Set when the answer's head is written. */
  status: number | undefined
  /** Set when the client went away before the whole answer was sent. */
  aborted: boolean
  /** Set when the whole answer has been handed to the kernel. */
  sent: boolean
}

export type RegistryOptions = {
  readonly auth?: Auth
  /** Applies to each blob answer. */
  readonly blobBytesPerSecond?: number
  /** Serves HTTPS; PEM texts. `clientCa` makes a client certificate necessary. */
  readonly tls?: { readonly key: string; readonly cert: string; readonly clientCa?: string }
  /** Called for each request; what it returns goes wrong. */
  readonly fault?: (request: LoggedRequest) => Fault | undefined
}

export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string
  /** `http://127.0.0.1:PORT` or https. */
  readonly origin: string
  readonly requests: readonly LoggedRequest[]
  /** May be set at any time. */
  fault: ((request: LoggedRequest) => Fault | undefined) | undefined
  /** Blobs belong to all repositories. */
  putBlob(bytes: Uint8Array | string): Digest
  /** A blob that stays in its file, for big ones. The file must not change. */
  putBlobFile(path: string): Promise<{ digest: Digest; size: number }>
  /** Stores a manifest or index under its digest, and under a tag where one is given. */
  putManifest(repository: string, tagOrDigest: string, bytes: Uint8Array | string, mediaType: string): Digest
  removeBlob(digest: Digest): void
  /** GETs of this blob that were answered with (a part of) its bytes or are under way. */
  blobGets(digest: Digest): number
  /** Requests whose method is `method` and whose path ends so. */
  count(method: string, pathEnd: string): number
  revokeTokens(): void
}

type StoredManifest = { readonly bytes: Uint8Array; readonly mediaType: string; readonly digest: Digest }

const ROUTE = /^\/v2\/(?<repository>.+)\/(?<what>manifests|blobs)\/(?<reference>[^/]+)$/

/** Starts one on a free port of 127.0.0.1. Dispose it to stop: open connections are cut. */
export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const registry = new EmbeddedRegistry(options)
  await registry.listen()
  return registry
}

class EmbeddedRegistry implements TestRegistry {
  host = ''
  origin = ''
  readonly requests: LoggedRequest[] = []
  fault: TestRegistry['fault']
  readonly #options: RegistryOptions
  readonly #tokens: TokenServer
  readonly #blobs = new Map<string, Body>()
  readonly #manifests = new Map<string, StoredManifest>()
  readonly #server

  constructor(options: RegistryOptions) {
    this.#options = options
    this.fault = options.fault
    this.#tokens = new TokenServer(options.auth ?? { kind: 'none' })
    const listener: RequestListener = (request, response) => void this.#serve(request, response)
    const { tls } = options
    const clients = tls?.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }
    this.#server =
      tls === undefined ? createHttpServer(listener) : createHttpsServer({ key: tls.key, cert: tls.cert, ...clients }, listener)
  }

  async listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('error', reject).listen(0, '127.0.0.1', resolve)
    await promise
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the embedded registry has no port')
    this.host = `127.0.0.1:${address.port}`
    this.origin = `${this.#options.tls === undefined ? 'http' : 'https'}://${this.host}`
  }

  putBlob(bytes: Uint8Array | string): Digest {
    const digest = sha256(bytes)
    this.#blobs.set(digest, { bytes: Buffer.from(bytes) })
    return digest
  }

  async putBlobFile(path: string): Promise<{ digest: Digest; size: number }> {
    const hash = createHash('sha256')
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash)
    const digest = digestOfHex(hash.digest('hex'))
    const { size } = statSync(path)
    this.#blobs.set(digest, { file: path, size })
    return { digest, size }
  }

  putManifest(repository: string, tagOrDigest: string, content: Uint8Array | string, mediaType: string): Digest {
    const bytes = Buffer.from(content)
    const stored = { bytes, mediaType, digest: sha256(bytes) }
    this.#manifests.set(`${repository}/${tagOrDigest}`, stored)
    this.#manifests.set(`${repository}/${stored.digest}`, stored)
    return stored.digest
  }

  removeBlob(digest: Digest): void {
    this.#blobs.delete(digest)
  }

  blobGets(digest: Digest): number {
    return this.requests.filter(
      ({ method, path, status }) =>
        method === 'GET' && path.endsWith(`/blobs/${digest}`) && (status === undefined || status < 300),
    ).length
  }

  count(method: string, pathEnd: string): number {
    return this.requests.filter((request) => request.method === method && request.path.endsWith(pathEnd)).length
  }

  revokeTokens(): void {
    this.#tokens.revokeAll()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.#server.closeAllConnections()
    await promise
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.origin)
    const logged: LoggedRequest = {
      method: request.method ?? 'GET',
      path: decodeURIComponent(url.pathname),
      query: url.searchParams,
      range: request.headers.range,
      authorization: authorizationKind(request.headers.authorization),
      headers: request.headers,
      status: undefined,
      aborted: false,
      sent: false,
    }
    this.requests.push(logged)
    response.once('finish', () => {
      logged.sent = true
    })
    response.once('close', () => {
      logged.status ??= response.headersSent ? response.statusCode : undefined
      logged.aborted = !response.writableFinished
    })
    try {
      await this.#answer(request, response, logged)
    } catch (error) {
      response.destroy(error instanceof Error ? error : undefined)
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse, logged: LoggedRequest): Promise<void> {
    const fault = this.fault?.(logged)
    switch (fault?.kind) {
      case 'hang-up':
        return void response.destroy()
      case 'raw': {
        const { socket } = request
        response.detachSocket(socket)
        return void fault.answer(socket)
      }
      case 'hold':
        await fault.until
        break
      case 'redirect':
        return void response.writeHead(fault.status ?? 307, { location: fault.location }).end()
      case 'status': {
        const body = fault.body ?? (fault.code === undefined ? '' : errorBody(fault.code, `made up by the test: ${fault.code}`))
        return void response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers }).end(body)
      }
    }
    if (logged.path === '/token') return this.#tokens.answer(request, response, logged.query)
    const route = ROUTE.exec(logged.path)?.groups
    const challenge = this.#tokens.challenge(request.headers.authorization, route?.repository ?? '', this.origin)
    if (challenge !== undefined)
      return refuse(response, 401, 'UNAUTHORIZED', 'authentication required', { 'www-authenticate': challenge })
    if (logged.path === '/v2/') return void response.writeHead(200).end('{}')
    const content = route === undefined ? undefined : this.#find(route.repository ?? '', route.what ?? '', route.reference ?? '')
    if (content === undefined) {
      const code = route === undefined ? 'UNSUPPORTED' : route.what === 'blobs' ? 'BLOB_UNKNOWN' : 'MANIFEST_UNKNOWN'
      return refuse(response, 404, code, `${route?.what ?? 'path'} unknown to registry`)
    }
    await this.#deliver(response, logged, content, fault)
  }

  #find(repository: string, what: string, reference: string): { body: Body; headers: Record<string, string> } | undefined {
    if (what === 'manifests') {
      const manifest = this.#manifests.get(`${repository}/${reference}`)
      if (manifest === undefined) return undefined
      return {
        body: { bytes: manifest.bytes },
        headers: { 'content-type': manifest.mediaType, 'docker-content-digest': manifest.digest },
      }
    }
    const body = this.#blobs.get(reference)
    if (body === undefined || !isDigest(reference)) return undefined
    return { body, headers: { 'content-type': 'application/octet-stream', 'docker-content-digest': reference } }
  }

  async #deliver(
    response: ServerResponse,
    logged: LoggedRequest,
    content: { readonly body: Body; readonly headers: Record<string, string> },
    fault: Fault | undefined,
  ): Promise<void> {
    const body = fault?.kind === 'bytes' ? { bytes: fault.bytes } : content.body
    const size = sizeOf(body)
    const span = fault?.kind === 'ignore-range' ? undefined : rangeOf(logged.range, size)
    const { from, end } = span ?? { from: undefined, end: size }
    const headers: Record<string, string> = { ...content.headers, 'accept-ranges': 'bytes' }
    if (from !== undefined && from >= size) return void response.writeHead(416, { 'content-range': `bytes */${size}` }).end()
    if (from !== undefined) headers['content-range'] = `bytes ${from}-${end - 1}/${size}`
    if (!(fault?.kind === 'bytes' && fault.chunked === true)) headers['content-length'] = String(end - (from ?? 0))
    if (fault?.kind === 'headers') Object.assign(headers, fault.headers)
    const shown = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ''))
    response.writeHead(from === undefined ? 200 : 206, shown)
    logged.status = response.statusCode
    if (logged.method === 'HEAD') return void response.end()
    const bodyFault =
      fault?.kind === 'cut' || fault?.kind === 'reset' || fault?.kind === 'stall' || fault?.kind === 'corrupt' ? fault : undefined
    const bytesPerSecond = logged.path.includes('/blobs/') ? this.#options.blobBytesPerSecond : undefined
    await sendBody(response, body, { from: from ?? 0, end, bytesPerSecond, fault: bodyFault })
  }
}

/** `end` is not part of it. */
function rangeOf(range: string | undefined, size: number): { readonly from: number; readonly end: number } | undefined {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? []
  if (first === undefined) return undefined
  return { from: Number(first), end: last === undefined || last === '' ? size : Math.min(size, Number(last) + 1) }
}

const errorBody = (code: string, message: string): string => JSON.stringify({ errors: [{ code, message, detail: null }] })

function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(errorBody(code, message))
}
