/** Debian's nginx and haproxy as children of a test, in front of a registry. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { which } from '../../scripts/machine.ts'
import { freePort, listening } from '../registry/docker-registry.ts'
import { start } from './process.ts'

export interface Front extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string
  /** Ends it at once, with all its connections. Resolves when it is gone. */
  die(): Promise<void>
}

/** One that is ready; `words` start it by the configuration that `write` made for a port. */
async function startFront(
  program: string,
  write: (dir: string, port: number) => string,
  words: (file: string, dir: string) => readonly string[],
): Promise<Front> {
  await using resources = new AsyncDisposableStack()
  const dir = resources.use(await mkdtempDisposable(join(tmpdir(), `windlass-${program}-`))).path
  const port = await freePort()
  const file = join(dir, `${program}.conf`)
  writeFileSync(file, write(dir, port))
  const child = resources.use(start(which(program) ?? program, words(file, dir)))
  const exited = new AbortController()
  resources.defer(() => exited.abort())
  const ended = child.line(/(?!)/, { signal: exited.signal }).catch(() => {})
  await listening(port, ended, () => child.output())
  const owned = resources.move()
  return { host: `127.0.0.1:${port}`, die: () => child.stop(), [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** nginx that keeps what `upstream` has once answered, and gives each connection so many bytes a second. */
export const startNginx = (upstream: string, { bytesPerSecond = 0 } = {}): Promise<Front> =>
  startFront(
    'nginx',
    (dir, port) => {
      mkdirSync(join(dir, 'cache'))
      return `daemon off; pid ${dir}/pid; error_log stderr warn; worker_processes 1; user root;
events { worker_connections 256; }
http {
  access_log off; limit_rate ${bytesPerSecond};
  client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/temp; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
  proxy_cache_path ${dir}/cache keys_zone=blobs:1m max_size=1g;
  server {
    listen 127.0.0.1:${port};
    location /v2/ { proxy_pass http://${upstream}; proxy_cache blobs; proxy_cache_valid 200 1h; proxy_cache_lock on; }
  }
}\n`
    },
    (file, dir) => ['-c', file, '-p', dir],
  )

/** haproxy that shares requests out among `upstreams`; over TLS where it has a certificate, to those alone who show one of `clientCa`. */
export const startHaproxy = (
  upstreams: readonly string[],
  tls?: { readonly cert: string; readonly key: string; readonly clientCa: string },
): Promise<Front> =>
  startFront(
    'haproxy',
    (dir, port) => {
      writeFileSync(join(dir, 'server.pem'), `${tls?.cert ?? ''}${tls?.key ?? ''}`)
      writeFileSync(join(dir, 'clients.pem'), tls?.clientCa ?? '')
      const bind = tls === undefined ? '' : `ssl crt ${dir}/server.pem ca-file ${dir}/clients.pem verify required`
      return `defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
frontend in
  bind 127.0.0.1:${port} ${bind}
  default_backend registries
backend registries
  balance roundrobin
  option redispatch
${upstreams.map((host, at) => `  server r${at} ${host}`).join('\n')}\n`
    },
    (file) => ['-db', '-f', file],
  )
