/**
 * Requests through a proxy. HTTPS goes through a tunnel that CONNECT opens (RFC 9110 §9.3.6), so that the proxy sees the target's name and
 * nothing else; plain HTTP is asked of the proxy in absolute form (RFC 9112 §3.2.2). What logs in to the proxy is sent to it alone.
 */

import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Agent, Dispatcher } from 'undici'
import type { HttpProxy } from './proxy.ts'

export const loginFor = ({ authorization }: HttpProxy): Readonly<Record<string, string>> =>
  authorization === undefined ? {} : { 'proxy-authorization': authorization }

/** A connection to `host`, `name:port`, by way of the proxy. */
export async function openTunnel(agent: Agent, proxy: HttpProxy, host: string, timeoutMs: number): Promise<Socket> {
  try {
    const { statusCode, socket } = await agent.connect({
      origin: proxy.origin.origin,
      path: host,
      headers: { host, ...loginFor(proxy) },
      signal: AbortSignal.timeout(timeoutMs),
    })
    if (statusCode === 200 && isSocket(socket)) return socket
    socket.on('error', () => {}).destroy()
    throw proxyError(proxy, refusal(statusCode), { definite: statusCode < 500 })
  } catch (error) {
    if (error instanceof ProxyError) throw error
    const isTimeout = error instanceof Error && error.name === 'TimeoutError'
    throw proxyError(proxy, isTimeout ? 'timeout while connecting' : said(error), { cause: error })
  }
}

/** The same request, asked of the proxy. */
export function inAbsoluteForm(options: Dispatcher.DispatchOptions, proxy: HttpProxy): Dispatcher.DispatchOptions {
  const target = new URL(String(options.origin))
  const headers = [...listOf(options.headers), 'host', target.host, ...Object.entries(loginFor(proxy)).flat()]
  return { ...options, origin: proxy.origin.origin, path: `${target.origin}${options.path}`, headers }
}

/** Our own requests have their headers as a list. */
function listOf(headers: Dispatcher.DispatchOptions['headers']): readonly string[] {
  if (headers === undefined || headers === null) return []
  if (Array.isArray(headers)) return headers
  throw new Error('headers of a request through a proxy are a list')
}

const isSocket = (stream: Duplex): stream is Socket => 'setKeepAlive' in stream

const refusal = (status: number): string =>
  status === 407 ? 'it wants another login (407): put user and password into its address' : `it answered ${status} to CONNECT`

const said = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** `code` tells whether asking again at once is of use, as an errno does. */
export class ProxyError extends Error {
  readonly code: 'ERR_PROXY' | 'ERR_PROXY_REFUSED'

  constructor(message: string, isDefinite: boolean, cause: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'ProxyError'
    this.code = isDefinite ? 'ERR_PROXY_REFUSED' : 'ERR_PROXY'
  }
}

export const proxyError = (
  { label }: Pick<HttpProxy, 'label'>,
  what: string,
  { definite = false, cause }: { readonly definite?: boolean; readonly cause?: unknown } = {},
): ProxyError => new ProxyError(`the proxy ${label}: ${what}`, definite, cause)
