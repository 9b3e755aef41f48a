/** A client with short timeouts, and the small things all tests of it do. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type Failure, failureOf } from '../../src/failure/failure.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { type Descriptor, mediaTypes } from '../../src/oci/oci.ts'
import type { Reference } from '../../src/reference/reference.ts'
import { createRegistry, type RegistryOptions } from '../../src/registry/client.ts'
import type { RegistryEvent } from '../../src/registry/events.ts'
import type { Credentials, Registry, Repository } from '../../src/registry/registry.ts'
import type { ByteSink } from '../../src/task/task.ts'

export const anonymous: Credentials = { kind: 'anonymous' }
export const signal = () => AbortSignal.timeout(30_000)

export type ClientUnderTest = AsyncDisposable & {
  readonly registry: Registry
  readonly events: RegistryEvent[]
  open(host: string, options?: { tag?: string; digest?: Digest; credentials?: Credentials; repository?: string }): Repository
}

export function newClient(options: Partial<RegistryOptions> = {}): ClientUnderTest {
  const events: RegistryEvent[] = []
  const registry = createRegistry({
    userAgent: 'windlass-test',
    progressTimeoutMs: 5_000,
    connectTimeoutMs: 2_000,
    log: (event) => events.push(event),
    ...options,
  })
  return {
    registry,
    events,
    open(host, { tag = 'v1', digest, credentials = anonymous, repository = 'team/app' } = {}) {
      const reference: Reference =
        digest === undefined ? { registry: host, repository, tag } : { registry: host, repository, digest }
      return registry.connect(reference, credentials)
    },
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  }
}

/** A certs.d directory with these files. */
export function certsDir(files: Readonly<Record<string, string>>): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'windlass-certs-'))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(path, name, '..'), { recursive: true })
    writeFileSync(join(path, name), text)
  }
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

/** The directory name containerd wants for a host with a port. */
export const certsName = (host: string): string => host.replace(/:(\d+)$/, '_$1_')

/** The failure a promise rejects with, checked to be of this kind. */
export async function failureFrom<K extends Failure['kind']>(
  work: Promise<unknown>,
  kind: K,
): Promise<Extract<Failure, { kind: K }>> {
  const failure = await work.then(
    (value) => expect.fail(`it did not fail but gave ${JSON.stringify(value)}`),
    (error: unknown) => failureOf(error),
  )
  expect(failure).toMatchObject({ kind })
  return failure as Extract<Failure, { kind: K }>
}

export const layerOf = (digest: Digest, bytes: Uint8Array): Descriptor => ({
  mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
  digest,
  size: bytes.length,
})

/** Bytes that differ everywhere, so that a hole or a repetition shows. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE((at * 2654435761) >>> 0, at)
  return bytes
}

/** Keeps what it is given. */
export class Keeper implements ByteSink {
  readonly chunks: Buffer[] = []

  write(chunk: Uint8Array): Promise<void> | undefined {
    this.chunks.push(Buffer.from(chunk))
    return undefined
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks)
  }
}

export const aManifest = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, layers: [] })
