/**
 * The registry client: resolves names, reads documents, streams blobs. What leaves this room has the digest it was asked for, except
 * blob bytes, which are hashed by whoever unpacks them in the same pass.
 *
 * A `Registry` turns a reference and credentials into a `Repository`: the hosts (mirrors, then the registry itself) that may hold it,
 * with authentication and retries behind them.
 *
 * `client.ts` makes one. A request goes down through
 *
 *     places.ts    which configuration says what the hosts are (hosts.ts, hosts-toml.ts, odd.ts; registries-hosts.ts, registries-conf.ts; inline.ts)
 *     walk.ts      the hosts in order, each as often as makes sense (retry.ts, patience.ts), with what all pulls know of them
 *                  (health.ts, pauses.ts)
 *     resolve.ts   a document, checked;  fetch.ts  a blob, streamed and resumed (range.ts, ranges.ts), over several connections where that is
 *                  faster (gauge.ts, shares.ts, segment.ts), piece by piece where it may have to stand still (pieces.ts), within this node's limits (throttle.ts)
 *     request.ts   https or http (schemes.ts), as whom (logins.ts), and how that is shown (authenticator.ts, challenge.ts, token.ts)
 *     follow.ts    redirects, as far as they are allowed (guard.ts)
 *     exchange.ts  one request on one connection (agents.ts), which must not stand still (pace.ts), through a proxy where one is
 *                  meant (proxy.ts, through-proxy.ts), and an answer whose fields are each one value (fields.ts)
 *
 * and what went wrong comes back up as a `Trouble` of one host (errors.ts), without the secrets it was sent (secrets.ts); `walk` makes one
 * failure of them.
 */

import { WindlassError } from '../failure/failure.ts'
import type { Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/oci.ts'
import type { Reference } from '../reference/reference.ts'
import type { Abortable, ByteSink } from '../task/task.ts'

/** Where containerd has its directories of hosts.toml files, and docker those of certificates, unless told otherwise. */
export const DEFAULT_HOSTS_DIR = '/etc/containerd/certs.d:/etc/docker/certs.d'

/** What a caller may log in with. Secrets stay in memory and never reach a log, an error or the store. */
export type Credentials =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, exchanged for access tokens. */
  | { readonly kind: 'identity-token'; readonly token: string }
  /** A bearer token, sent as it is. */
  | { readonly kind: 'registry-token'; readonly token: string }

/** A repository at a host, by the names people write: docker.io, never registry-1.docker.io. */
export type LoginTarget = { readonly registry: string; readonly repository: string }

/** In the order they are to be tried. `problems` are what could not be asked for any, one sentence each, without a secret. */
export type Candidates = {
  readonly logins: readonly Exclude<Credentials, { kind: 'anonymous' }>[]
  readonly problems: readonly string[]
}

/** The logins this node itself has, for callers who bring none, and for mirrors. */
export interface Keyring {
  /** Throws cancelled alone: what is wrong with a place where logins are kept is a problem, not the end of a pull. */
  candidates(target: LoginTarget, options: Abortable): Promise<Candidates>
}

export interface Registry extends AsyncDisposable {
  /** A repository as seen with these credentials. No request is made yet; the configuration of its registry is read at the first one. */
  connect(reference: Reference, credentials: Credentials): Repository
}

/** A document whose bytes have the descriptor's digest. */
export type Document = { readonly descriptor: Descriptor; readonly bytes: Uint8Array; readonly host: string }

/** What transfers of one blob leave behind for one that begins anew. */
export type Trail = {
  /** Who has delivered some of it: asked last by the next one, for one of them may have sent what is wrong. */
  readonly hosts: Set<string>
  /** Requests made. */
  attempts: number
  /** It was put together of several answers, each right as far as it went perhaps. */
  isPatched: boolean
  /** Whether there is anybody else to ask. */
  hasOthers: boolean
}

export const newTrail = (): Trail => ({ hosts: new Set(), attempts: 0, isPatched: false, hasOthers: false })

/** Where a transfer begins; at the beginning by default. `beginning` is what the blob begins with, as far as it is at hand. */
export type From = { readonly offset: number; readonly beginning: Uint8Array }

/** What a finished transfer tells the report. Times are in milliseconds. */
export type Transfer = {
  /** The host that delivered the last byte. */
  readonly host: string
  readonly bytes: number
  /** 1 when nothing had to be asked twice. */
  readonly attempts: number
  /** From the request to the first byte of the first successful answer. */
  readonly firstByteMs: number
}

export interface Repository {
  /**
   * The manifest or index the reference names now. With `known`, a digest on record, a HEAD is tried first, and `undefined` is returned
   * where the registry still answers that digest: nothing has moved. `hurried`: there is another way out, and no host is waited for long.
   * Throws: manifest-unknown, unauthorized, denied, rate-limited, registry-unavailable, digest-mismatch, malformed, unsupported, limit.
   */
  resolve(options: Abortable & { readonly known?: Digest; readonly hurried?: boolean }): Promise<Document | undefined>

  /** Who answered the last `resolve`; undefined before. */
  readonly resolvedBy: string | undefined

  /** Milliseconds that requests of this repository have waited for a login so far: for a token mostly. */
  readonly tokenMs: number

  /**
   * Asks the registry itself, no mirror, whether it gives these credentials this manifest; nothing where it was the registry that answered
   * `resolve`. Throws unauthorized, denied, manifest-unknown, rate-limited; access-unconfirmed where it could not be asked.
   */
  confirm(digest: Digest, options: Abortable): Promise<void>

  /** A manifest or index by digest, at most 4 MiB. Throws as `resolve`. */
  manifest(descriptor: Descriptor, options: Abortable): Promise<Document>

  /** A small blob, an image config, at most 4 MiB. Throws as `fetch`, and digest-mismatch. */
  blob(descriptor: Descriptor, options: Abortable): Promise<Document>

  /**
   * Streams a blob into `sink`, in order and each byte once: a broken connection is resumed by Range behind the sink's back. Stops with
   * size-mismatch one byte after the descriptor's size. Whatever `sink.write` throws ends the transfer and is thrown on unchanged.
   * What is more than one connection's worth may come over several; while `isPatient`, over one, and no more is asked for at once than comes in
   * a tenth of a second, so that a sink that stands still soon stills the network too.
   * Throws: blob-unknown, unauthorized, denied, rate-limited, registry-unavailable, size-mismatch, malformed.
   */
  fetch(
    descriptor: Descriptor,
    sink: ByteSink,
    options: Abortable & { readonly from?: From; readonly trail?: Trail; readonly isPatient?: () => boolean },
  ): Promise<Transfer>
}

/** A failure that says no more than that nobody could be asked, as one about what was asked for; any other unchanged. */
export function unconfirmed(error: unknown): unknown {
  if (!(error instanceof WindlassError) || error.failure.kind !== 'registry-unavailable') return error
  const { reference, tried } = error.failure
  return new WindlassError({ kind: 'access-unconfirmed', reference, tried }, error)
}
