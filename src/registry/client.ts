/** The registry client put together: what all pulls share, and a repository as one caller sees it. */
import { fail, WindlassError } from '../failure/failure.ts'
import type { Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/oci.ts'
import type { Reference } from '../reference/reference.ts'
import type { Abortable, ByteSink } from '../task/task.ts'
import { Agents } from './agents.ts'
import { Authenticator } from './authenticator.ts'
import type { Wanted } from './errors.ts'
import type { RegistryEvent } from './events.ts'
import { BlobTransfer } from './fetch.ts'
import { HostHealth } from './health.ts'
import type { Host, Odd } from './hosts.ts'
import { Logins } from './logins.ts'
import { tellOnce } from './odd.ts'
import type { PaceLimits } from './pace.ts'
import { hostsFor, type Places } from './places.ts'
import type { ProxyFor } from './proxy.ts'
import {
  type Credentials,
  type Document,
  type Keyring,
  newTrail,
  type Registry,
  type Repository,
  type Trail,
  type Transfer,
  unconfirmed,
} from './registry.ts'
import { type Question, Requests } from './request.ts'
import { descriptorPath, type Expected, getDocument, MANIFEST_ACCEPT, MAX_DOCUMENT, stillNames } from './resolve.ts'
import type { Means } from './shares.ts'
import { Throttle, type TransferLimits, unlimited } from './throttle.ts'
import { Tokens } from './token.ts'
import { type Walk, walk } from './walk.ts'

/** Without any of the places every registry is asked itself. */
export type RegistryOptions = Places & {
  readonly userAgent: string
  /** For callers without credentials, and for mirrors; nobody logs in then where there is none. */
  readonly keyring?: Keyring
  /** None by default, whatever the environment says. */
  readonly proxyFor?: ProxyFor
  /** How long an answer may take to begin, at most 30 s, and how long a transfer may stand still while its sink takes bytes. */
  readonly progressTimeoutMs: number
  /** Where hosts.toml has no dial_timeout; 30 s by default. */
  readonly connectTimeoutMs?: number
  readonly transfers?: TransferLimits
  readonly log?: (event: RegistryEvent) => void
}

/** Dispose it to end all transfers with `cancelled: shutdown` and close all connections. */
export function createRegistry(options: RegistryOptions): Registry {
  return new Client(options)
}

const MAX_HEAD_WAIT_MS = 30_000
/** A transfer that brings less than 1 KiB a second for so long stands still, though now and then a byte comes. */
const SLOW_MS = 60_000

class Client implements Registry {
  readonly #options: RegistryOptions
  readonly #agents: Agents
  readonly #means: Means
  readonly #pace: PaceLimits
  readonly #closing = new AbortController()
  readonly #odd: Odd

  constructor(options: RegistryOptions) {
    const { progressTimeoutMs, userAgent, proxyFor, log = () => undefined } = options
    this.#options = options
    this.#odd = tellOnce(log)
    this.#agents = new Agents(progressTimeoutMs, proxyFor)
    const tokens = new Tokens(this.#agents, userAgent, this.#closing.signal)
    const requests = new Requests(this.#agents, new Authenticator(tokens), userAgent, log)
    this.#means = { requests, health: new HostHealth(), throttle: new Throttle(options.transfers ?? unlimited) }
    const slowMs = Math.min(progressTimeoutMs, SLOW_MS)
    const headMs = Math.min(progressTimeoutMs, MAX_HEAD_WAIT_MS)
    this.#pace = { headMs, slow: { bytes: (slowMs * 1024) / 1000, ms: slowMs } }
  }

  connect(reference: Reference, credentials: Credentials): Repository {
    const { connectTimeoutMs, keyring, log = () => undefined } = this.#options
    const hosts = () => hostsFor(reference, this.#options, connectTimeoutMs, this.#odd)
    return new RemoteRepository({
      reference,
      logins: new Logins(credentials, keyring),
      hosts,
      hostsDir: this.#options.hostsDir,
      means: this.#means,
      pace: this.#pace,
      closing: this.#closing.signal,
      log,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new WindlassError({ kind: 'cancelled', reason: 'shutdown' }))
    await this.#agents[Symbol.asyncDispose]()
  }
}

type Parts = {
  readonly reference: Reference
  readonly logins: Logins
  readonly hosts: () => Promise<readonly Host[]>
  readonly hostsDir: string | undefined
  readonly means: Means
  readonly pace: PaceLimits
  readonly closing: AbortSignal
  readonly log: (event: RegistryEvent) => void
}

class RemoteRepository implements Repository {
  readonly #parts: Parts
  readonly #name: string
  #hosts: Promise<readonly Host[]> | undefined
  #resolvedBy: Host | undefined

  constructor(parts: Parts) {
    const { registry, repository, tag, digest } = parts.reference
    this.#parts = parts
    this.#name = `${registry}/${repository}${digest === undefined ? `:${tag ?? 'latest'}` : `@${digest}`}`
  }

  get resolvedBy(): string | undefined {
    return this.#resolvedBy?.name
  }

  get tokenMs(): number {
    return this.#parts.logins.tookMs
  }

  async resolve({
    signal,
    known,
    hurried = false,
  }: Abortable & { readonly known?: Digest; readonly hurried?: boolean }): Promise<Document | undefined> {
    const { reference, means } = this.#parts
    const { requests } = means
    const { digest } = reference
    const capabilities = digest === undefined ? (['pull', 'resolve'] as const) : (['pull'] as const)
    const question = this.#question(`manifests/${digest ?? reference.tag ?? 'latest'}`, { accept: MANIFEST_ACCEPT })
    const expected: Expected = digest === undefined ? { what: 'manifest' } : { what: 'manifest', digest }
    const asking = await this.#walk(question, capabilities, this.#manifestUnknown, signal)
    return walk<Document | undefined>({ ...asking, hurried }, async (host, attempt) => {
      this.#resolvedBy = host
      if (known !== undefined) {
        const same = await stillNames(requests, host, question, known, attempt)
        if ('trouble' in same) return same
        if (same.value) return { value: undefined }
      }
      return getDocument(requests, host, question, expected, attempt)
    })
  }

  async confirm(digest: Digest, { signal }: Abortable): Promise<void> {
    if (this.#resolvedBy?.named === true) return
    const { requests } = this.#parts.means
    const question = this.#question(`manifests/${digest}`, { accept: MANIFEST_ACCEPT })
    const asking = await this.#walk(question, [], this.#manifestUnknown, signal)
    // A mirror's word says nothing of what the registry lets this caller read, and only the registry sees the login.
    const hosts = asking.hosts.filter(({ named, capabilities }) => named && capabilities.has('pull'))
    if (hosts.length === 0) fail({ kind: 'access-unconfirmed', reference: this.#name, tried: [] })
    try {
      await walk<unknown>({ ...asking, hosts }, async (host, attempt) => {
        const same = await stillNames(requests, host, question, digest, attempt)
        return 'value' in same && same.value ? same : getDocument(requests, host, question, { what: 'manifest', digest }, attempt)
      })
    } catch (error) {
      throw unconfirmed(error)
    }
  }

  async manifest(descriptor: Descriptor, { signal }: Abortable): Promise<Document> {
    const question = this.#question(descriptorPath('manifests', descriptor), { accept: MANIFEST_ACCEPT })
    return this.#document(question, { ...descriptor, what: 'manifest' }, this.#manifestUnknown, signal)
  }

  async blob(descriptor: Descriptor, { signal }: Abortable): Promise<Document> {
    const question = this.#question(descriptorPath('blobs', descriptor))
    return this.#document(question, { ...descriptor, what: 'config' }, this.#blobUnknown(descriptor), signal)
  }

  async fetch(
    descriptor: Descriptor,
    sink: ByteSink,
    { signal, from, trail = newTrail(), isPatient }: Parameters<Repository['fetch']>[2],
  ): Promise<Transfer> {
    const { means } = this.#parts
    const question = this.#question(descriptorPath('blobs', descriptor))
    const asking = await this.#walk(question, ['pull'], this.#blobUnknown(descriptor), signal)
    const hosts = unsuspected(asking.hosts, trail)
    const transfer = new BlobTransfer(means, {
      blob: descriptor,
      sink,
      trail,
      ...(from === undefined ? {} : { from }),
      ...(isPatient === undefined ? {} : { isPatient }),
    })
    const admitted: Walk = { ...asking, hosts, admit: (host, options) => means.throttle.admit(host, options) }
    try {
      return await walk(admitted, (host, attempt) => transfer.attempt(host, question, attempt), transfer.progress)
    } finally {
      trail.hasOthers = hosts.some(({ name }) => !trail.hosts.has(name))
    }
  }

  async #document(
    question: Question,
    expected: Expected & { readonly size: number },
    absent: Wanted['absent'],
    signal: AbortSignal,
  ): Promise<Document> {
    if (expected.size > MAX_DOCUMENT) {
      const reason = `${expected.size} bytes according to what names it, more than the ${MAX_DOCUMENT} it may have`
      fail({ kind: 'malformed', what: expected.what, from: this.#parts.reference.registry, reason })
    }
    const asking = await this.#walk(question, ['pull'], absent, signal)
    return walk(asking, (host, attempt) => getDocument(this.#parts.means.requests, host, question, expected, attempt))
  }

  #question(path: string, headers: Readonly<Record<string, string>> = {}): Question {
    const { reference, logins } = this.#parts
    return { method: 'GET', repository: reference.repository, path, headers, logins }
  }

  /** The way through the hosts that can do what is wanted. */
  async #walk(
    question: Question,
    capabilities: readonly ('pull' | 'resolve')[],
    absent: Wanted['absent'],
    signal: AbortSignal,
  ): Promise<Walk> {
    const { closing, log, pace, means } = this.#parts
    // A failure to read the configuration is told again until it can be read.
    this.#hosts ??= this.#parts.hosts().catch((error: unknown) => {
      this.#hosts = undefined
      throw error
    })
    const hosts = (await this.#hosts).filter((host) => capabilities.every((capability) => host.capabilities.has(capability)))
    if (hosts.length === 0) {
      const reason = `the capabilities in hosts.toml leave no host of ${this.#parts.reference.registry} that may ${capabilities.join(' and ')}`
      fail({ kind: 'bad-config', file: this.#parts.hostsDir ?? '', reason })
    }
    const wanted: Wanted = { reference: this.#name, absent }
    const { health } = means
    return { hosts, path: question.path, wanted, health, pace, log, signal: AbortSignal.any([signal, closing]) }
  }

  readonly #manifestUnknown: Wanted['absent'] = (tried) => ({ kind: 'manifest-unknown', reference: this.#name, tried })

  readonly #blobUnknown =
    ({ digest }: Descriptor): Wanted['absent'] =>
    (tried) => ({ kind: 'blob-unknown', reference: this.#name, digest, tried })
}

/** Who took part in a transfer that went wrong is asked last. */
const unsuspected = (hosts: readonly Host[], { hosts: suspects }: Trail): readonly Host[] =>
  hosts.toSorted((a, b) => Number(suspects.has(a.name)) - Number(suspects.has(b.name)))
