/** An HTTP proxy as sites have them: CONNECT and absolute form, a login if wanted, names that only it knows. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'

export interface ProxyServer extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string
  /** What it was asked: `CONNECT registry.test:443`, `GET http://registry.test/v2/…`. */
  readonly asked: readonly string[]
  /** Whatever came as Proxy-Authorization. */
  readonly logins: readonly (string | undefined)[]
}

/** `names` are those it resolves, `name:port` to where it is. */
export async function startProxy(options: {
  readonly names: Readonly<Record<string, string>>
  readonly login?: string
}): Promise<ProxyServer> {
  const asked: string[] = []
  const logins: (string | undefined)[] = []
  const wanted = options.login === undefined ? undefined : `Basic ${Buffer.from(options.login).toString('base64')}`
  const isLetIn = ({ method, url, headers }: IncomingMessage): boolean => {
    asked.push(`${method} ${url}`)
    logins.push(headers['proxy-authorization'])
    return wanted === undefined || headers['proxy-authorization'] === wanted
  }
  const server = createServer((incoming, response) => {
    if (!isLetIn(incoming)) return void response.writeHead(407).end()
    const url = new URL(incoming.url ?? '')
    const at = options.names[`${url.hostname}:${url.port || 80}`]
    if (at === undefined) return void response.writeHead(502).end()
    const { 'proxy-authorization': _, ...headers } = incoming.headers
    const [host, port] = at.split(':')
    const outgoing = request({ host, port, method: incoming.method, path: url.pathname + url.search, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      pipeline(answer, response).catch(() => response.destroy())
    })
    outgoing.on('error', () => response.destroy()).end()
  })
  server.on('connect', (incoming: IncomingMessage, client: Socket) => {
    client.on('error', () => client.destroy())
    if (!isLetIn(incoming)) return void client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
    const at = options.names[incoming.url ?? '']
    if (at === undefined) return void client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
    const [host = '', port] = at.split(':')
    const target = connect(Number(port), host, () => client.write('HTTP/1.1 200 Connection established\r\n\r\n'))
    target.on('error', () => client.destroy()).on('close', () => client.destroy())
    client.on('close', () => target.destroy())
    target.pipe(client).pipe(target)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  return {
    host: `127.0.0.1:${address.port}`,
    asked,
    logins,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
