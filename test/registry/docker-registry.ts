/** Debian's docker-registry as a child process on a free loopback port, and the few calls that push to any registry. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, statSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { request } from 'undici'
import { type Digest, sha256 } from '../../src/oci/digest.ts'
import type { Descriptor } from '../../src/oci/oci.ts'

/** A login of a docker-registry started with `auth: 'basic'`. */
export const login = { username: 'windlass', password: 'only-for-tests' } as const
const HASH = '$2b$04$cUWQRROK7bhbv1DSYR51/OfJ3K9K3DlVareevyX7XKLXd9DgSXwXm'
/** Another login, of the same password. */
export const otherLogin = { ...login, username: 'mate' } as const
const HTPASSWD = [login, otherLogin].map(({ username }) => `${username}:${HASH}\n`).join('')

export interface DockerRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string
  /** What it wrote so far, access log included. */
  log(): string
}

/** False where docker-registry is not installed; tests that need it skip. */
export function hasDockerRegistry(): boolean {
  try {
    execFileSync('docker-registry', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A port of loopback that nobody listens at. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

export type DockerRegistryOptions = {
  readonly auth?: 'none' | 'basic' | DockerRegistryTokens
  readonly dir?: string
  readonly foreignUrls?: boolean
  /** HTTPS; with `clientCa` for those alone who show a certificate of it. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string }
}

/** It believes tokens that `ca` vouches for. */
export type DockerRegistryTokens = {
  readonly realm: string
  readonly service: string
  readonly issuer: string
  readonly ca: string
}

/** Starts one on `dir`, or on a temporary directory that goes when it is disposed. */
export async function startDockerRegistry(options: DockerRegistryOptions = {}): Promise<DockerRegistry> {
  await using resources = new AsyncDisposableStack()
  const dir = resources.use(await mkdtempDisposable(join(tmpdir(), 'windlass-registry-'))).path
  const port = await freePort()
  const config = join(dir, 'config.yml')
  writeFileSync(config, JSON.stringify(configuration(options, dir, port)))
  const child = spawn('docker-registry', ['serve', config], { stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'exit')
  resources.defer(async () => {
    child.kill('SIGTERM')
    await exited
  })
  let log = ''
  const keep = (text: Buffer) => {
    log = `${log}${text}`.slice(-1_000_000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  await listening(port, exited, () => log)
  const owned = resources.move()
  return { host: `127.0.0.1:${port}`, log: () => log, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** Its configuration (distribution, docs/configuration.md), in JSON, which is YAML too; the files it names are written below `dir`. */
function configuration({ auth, foreignUrls, tls, ...options }: DockerRegistryOptions, dir: string, port: number): object {
  const written = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text)
    return join(dir, name)
  }
  const tokens = typeof auth === 'object' ? auth : undefined
  return {
    version: 0.1,
    log: { accesslog: { disabled: false } },
    storage: { filesystem: { rootdirectory: options.dir ?? join(dir, 'data') } },
    http: {
      addr: `127.0.0.1:${port}`,
      ...(tls && {
        tls: {
          certificate: written('server.pem', tls.cert),
          key: written('server.key', tls.key),
          ...(tls.clientCa && { clientcas: [written('clients.pem', tls.clientCa)] }),
        },
      }),
    },
    ...(auth === 'basic' && { auth: { htpasswd: { realm: 'test', path: written('htpasswd', HTPASSWD) } } }),
    ...(tokens && {
      auth: {
        token: {
          realm: tokens.realm,
          service: tokens.service,
          issuer: tokens.issuer,
          rootcertbundle: written('tokens.pem', tokens.ca),
        },
      },
    }),
    ...(foreignUrls && { validation: { manifests: { urls: { allow: ['^https://'] } } } }),
  }
}

/** Real servers announce nothing when they listen, so they are tried until they take a connection. */
export async function listening(port: number, exited: Promise<unknown>, log: () => string): Promise<void> {
  let gone = false
  void exited.then(() => {
    gone = true
  })
  for (const deadline = Date.now() + 15_000; Date.now() < deadline && !gone; await delay(20)) {
    const socket = connect(port, '127.0.0.1')
    const taken = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (taken) return
  }
  throw new Error(`it did not start to listen at port ${port}:\n${log()}`)
}

/** Where and as whom to push. */
export type PushTarget = { readonly host: string; readonly repository: string; readonly authorization?: string }

export const basicAuthorization = (user: { username: string; password: string } = login): string =>
  `Basic ${Buffer.from(`${user.username}:${user.password}`).toString('base64')}`

const headersFor = (target: PushTarget) => (target.authorization === undefined ? {} : { authorization: target.authorization })

async function expectStatus(answer: Awaited<ReturnType<typeof request>>, wanted: number, what: string): Promise<void> {
  const text = await answer.body.text()
  if (answer.statusCode !== wanted) throw new Error(`${what}: ${answer.statusCode} ${text.slice(0, 400)}`)
}

/** Pushes a blob from memory or a file in one PUT (distribution-spec, "Pushing a blob monolithically"). */
export async function pushBlob(
  target: PushTarget,
  blob: Uint8Array | { file: string; digest: Digest },
): Promise<{ digest: Digest; size: number }> {
  const digest = blob instanceof Uint8Array ? sha256(blob) : blob.digest
  const size = blob instanceof Uint8Array ? blob.length : statSync(blob.file).size
  const start = await request(`http://${target.host}/v2/${target.repository}/blobs/uploads/`, {
    method: 'POST',
    headers: headersFor(target),
  })
  await expectStatus(start, 202, 'start of upload')
  const location = new URL(String(start.headers.location), `http://${target.host}`)
  location.searchParams.set('digest', digest)
  const body = blob instanceof Uint8Array ? blob : createReadStream(blob.file, { highWaterMark: 1 << 20 })
  const headers = { ...headersFor(target), 'content-type': 'application/octet-stream', 'content-length': String(size) }
  await expectStatus(await request(location, { method: 'PUT', headers, body }), 201, `upload of ${digest}`)
  return { digest, size }
}

/** Pushes a manifest or index under a tag or its digest. */
export async function pushManifest(
  target: PushTarget,
  tagOrDigest: string,
  bytes: Uint8Array | string,
  mediaType: string,
): Promise<Digest> {
  const headers = { ...headersFor(target), 'content-type': mediaType }
  const url = `http://${target.host}/v2/${target.repository}/manifests/${tagOrDigest}`
  await expectStatus(await request(url, { method: 'PUT', headers, body: bytes }), 201, `push of ${tagOrDigest}`)
  return sha256(bytes)
}

export type LayerToPush = {
  readonly mediaType: string
  readonly blob: Uint8Array | { readonly file: string; readonly digest: Digest }
}

/** Pushes config and layers, and an OCI manifest that names them; the manifest's descriptor comes back. */
export async function pushImage(
  target: PushTarget,
  tag: string,
  image: { readonly config: string; readonly layers: readonly LayerToPush[] },
): Promise<Descriptor> {
  const layers: Descriptor[] = []
  for (const { mediaType, blob } of image.layers) layers.push({ mediaType, ...(await pushBlob(target, blob)) })
  const config = { mediaType: 'application/vnd.oci.image.config.v1+json', ...(await pushBlob(target, Buffer.from(image.config))) }
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = JSON.stringify({ schemaVersion: 2, mediaType, config, layers })
  const digest = await pushManifest(target, tag, manifest, mediaType)
  return { mediaType, digest, size: Buffer.byteLength(manifest) }
}
