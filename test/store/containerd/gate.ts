/** A socket in front of containerd's that knows each call by its method: what a test wants to have happened before it, happens. */
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'

/** `lease` is the one that the call is made under. */
export type Passing = { readonly method: string; readonly lease: string | undefined }

export interface Gate extends AsyncDisposable {
  readonly socket: string
  /** Runs before each call goes on; the call waits for it. `method` is `Snapshots/Commit` and the like. */
  before: (call: Passing) => Promise<void> | void
}

/** Goes with containerd where that dies, and leads to the new one where it comes back. */
export async function openGate(socket: string, containerd: string): Promise<Gate> {
  const gate: Pick<Gate, 'socket' | 'before'> = { socket, before: () => {} }
  const open = new Set<net.Socket>()
  const server = net.createServer(async (near) => {
    near.on('error', () => {})
    open.add(near.once('close', () => open.delete(near)))
    const far = net.connect(containerd)
    far.on('error', () => near.destroy()).on('close', () => near.destroy())
    near.once('close', () => far.destroy())
    far.once('connect', () => join(near, far, (call) => gate.before(call)))
  })
  server.listen(socket)
  await once(server, 'listening')
  return Object.assign(gate, {
    [Symbol.asyncDispose]: async () => {
      for (const each of open) each.destroy()
      server.close()
      await once(server, 'close')
    },
  })
}

function join(near: net.Socket, far: net.Socket, before: Gate['before']): void {
  const upstream = http2.connect('http://localhost', { createConnection: () => far })
  upstream.on('error', () => {})
  const session = http2.performServerHandshake(near)
  session.on('error', () => {})
  session.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    stream.on('error', () => {})
    void pass(stream, headers, upstream, before).catch(() => stream.destroy())
  })
}

async function pass(
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  upstream: http2.ClientHttp2Session,
  before: Gate['before'],
): Promise<void> {
  const lease = headers['containerd-lease']
  const method = /(\w+\/\w+)$/.exec(headers[':path'] ?? '')?.[1] ?? ''
  await before({ method, lease: typeof lease === 'string' ? lease : undefined })
  if (upstream.destroyed || stream.destroyed) return
  const call = upstream.request(headers)
  let trailers: http2.IncomingHttpHeaders = {}
  call.on('error', () => {})
  call.on('response', (answer, flags) => {
    const isAll = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0
    stream.respond(answer, isAll ? { endStream: true } : { waitForTrailers: true })
  })
  call.on('trailers', (last) => {
    trailers = last
  })
  stream.on('wantTrailers', () => stream.sendTrailers(trailers))
  stream.once('close', () => call.close(stream.rstCode))
  call.once('close', () => call.rstCode !== 0 && stream.close(call.rstCode))
  stream.pipe(call)
  call.pipe(stream)
}
