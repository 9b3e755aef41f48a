/** Debian's docker-registry on loopback, and the few requests it takes to push an image to it. */
import { createReadStream } from 'node:fs'
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { Digest } from '../../src/oci/digest.ts'
import type { Abortable } from '../../src/task/task.ts'
import { start } from './process.ts'

/** The one account of a registry started with `login`. */
export const account = { username: 'windlass', password: 'secret' } as const
// The registry takes bcrypt alone, which Node does not have.
const htpasswd = 'windlass:$2b$04$/PsRVBt9z1PtdNVgzByKKuvTeUG45ZF71UZt5d7DTtwPwqxpuYmhC\n'

export type Request = { readonly method: string; readonly path: string; readonly status: number }

export type Blob = { readonly digest: Digest; readonly content: Uint8Array | { readonly file: string } }
/** `reference` is a tag, or a digest for a manifest that only an index names. */
export type Manifest = { readonly reference: string; readonly mediaType: string; readonly bytes: Uint8Array }

export interface DockerRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`: what stands before the repository in a reference. */
  readonly host: string
  /** The requests answered so far, from its access log, in order. */
  requests(): readonly Request[]
  /** Blobs first, then manifests in the order given. A blob it has already is not sent again. */
  push(repository: string, blobs: readonly Blob[], manifests: readonly Manifest[], options: Abortable): Promise<void>
}

/** Starts a registry that keeps its data below `dir`; with `login`, it wants `account` for everything. */
export async function startDockerRegistry(
  dir: string,
  { login, signal }: Abortable & { readonly login: boolean },
): Promise<DockerRegistry> {
  await mkdir(dir, { recursive: true })
  const passwords = join(dir, 'htpasswd')
  await writeFile(passwords, htpasswd)
  const auth = login ? { auth: { htpasswd: { realm: 'windlass', path: passwords } } } : {}
  const config = join(dir, 'config.yml')
  // JSON is YAML.
  await writeFile(
    config,
    JSON.stringify({
      version: '0.1',
      log: { level: 'info', accesslog: { disabled: false } },
      storage: { filesystem: { rootdirectory: join(dir, 'data'), maxthreads: 100 } },
      http: { addr: '127.0.0.1:0', secret: 'loopback' },
      ...auth,
    }),
  )
  const daemon = start('docker-registry', ['serve', config], { OTEL_TRACES_EXPORTER: 'none' })
  let host: string
  try {
    host = (await daemon.line(/listening on (127\.0\.0\.1:\d+)/, { signal }))[1] ?? ''
  } catch (error) {
    await daemon.stop()
    throw error
  }
  const headers = login ? { authorization: `Basic ${btoa(`${account.username}:${account.password}`)}` } : {}
  return {
    host,
    requests: () => accessLog(daemon.output()),
    push: async (repository, blobs, manifests, options) => {
      const base = `http://${host}/v2/${repository}`
      for (const blob of blobs) await pushBlob(base, blob, headers, options)
      for (const manifest of manifests) await pushManifest(base, manifest, headers, options)
    },
    [Symbol.asyncDispose]: () => daemon.stop(),
  }
}

/** Lines of the combined log format: `127.0.0.1 - - [date] "GET /v2/… HTTP/1.1" 200 …`. */
const accessLog = (output: string): Request[] =>
  [...output.matchAll(/"([A-Z]+) (\S+) HTTP\/[\d.]+" (\d{3}) /g)].map(([, method = '', path = '', status]) => ({
    method,
    path,
    status: Number(status),
  }))

type Headers = Readonly<Record<string, string>>

async function pushBlob(base: string, blob: Blob, headers: Headers, { signal }: Abortable): Promise<void> {
  const here = await fetch(`${base}/blobs/${blob.digest}`, { method: 'HEAD', headers, signal })
  if (here.ok) return
  const upload = await fetch(`${base}/blobs/uploads/`, { method: 'POST', headers, signal })
  await expect(upload, 202)
  const to = new URL(upload.headers.get('location') ?? '', base)
  to.searchParams.set('digest', blob.digest)
  const bytes = blob.content instanceof Uint8Array
  const size = blob.content instanceof Uint8Array ? blob.content.length : (await stat(blob.content.file)).size
  const body =
    blob.content instanceof Uint8Array ? Buffer.from(blob.content) : Readable.toWeb(createReadStream(blob.content.file))
  const sent = await fetch(to, {
    method: 'PUT',
    headers: { ...headers, 'content-type': 'application/octet-stream', 'content-length': String(size) },
    body,
    signal,
    ...(bytes ? {} : { duplex: 'half' }),
  })
  await expect(sent, 201)
}

async function pushManifest(base: string, manifest: Manifest, headers: Headers, { signal }: Abortable): Promise<void> {
  const response = await fetch(`${base}/manifests/${manifest.reference}`, {
    method: 'PUT',
    headers: { ...headers, 'content-type': manifest.mediaType },
    body: Buffer.from(manifest.bytes),
    signal,
  })
  await expect(response, 201)
}

async function expect(response: Response, status: number): Promise<void> {
  const text = await response.text()
  if (response.status !== status) throw new Error(`${response.url}: ${response.status}, wanted ${status}: ${text}`)
}
