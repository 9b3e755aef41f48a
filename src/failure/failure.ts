/**
 * Every way Windlass can fail, as data. Rooms throw a `WindlassError` that carries one `Failure`; the CRI and the CLI map its `kind`
 * to a gRPC status, a text and an exit code. Nothing decides by matching a message.
 */

import { constants } from 'node:os'

/** One host that was asked, and what became of it ("404 manifest unknown", "connection refused"). Never holds a secret. */
export type HostAttempt = {
  readonly host: string
  readonly result: string /** By HTTP, whatever it said. */
  readonly answered?: boolean
}

/** What a failure is about, and the other hosts that were asked, where the room that failed did not know; see of-reference.ts. */
export type Asked = { readonly reference?: string; readonly others?: readonly HostAttempt[] }

export type Failure =
  /** The text is not an image reference. */
  | { readonly kind: 'invalid-reference'; readonly input: string; readonly reason: string }
  /** A request, flag or argument that cannot be honoured as it stands. */
  | { readonly kind: 'invalid-argument'; readonly what: string; readonly reason: string }
  /** A configuration file that does not say what it must. `line` counts from 1. */
  | {
      readonly kind: 'bad-config'
      readonly file: string
      readonly line?: number
      readonly field?: string
      readonly reason: string
      /** What else is wrong with it. */
      readonly more?: readonly { readonly line?: number; readonly field?: string; readonly reason: string }[]
    }
  /** No host knows the tag or digest. */
  | { readonly kind: 'manifest-unknown'; readonly reference: string; readonly tried: readonly HostAttempt[] }
  /** The manifest names a blob that no host has. */
  | { readonly kind: 'blob-unknown'; readonly reference: string; readonly digest: string; readonly tried: readonly HostAttempt[] }
  /** The index, or a single-manifest image's config, offers no platform this node runs. */
  | {
      readonly kind: 'no-platform'
      readonly reference: string
      readonly wanted: string
      readonly offered: readonly string[]
      /** Whoever asked named it; else it is the node's own. */
      readonly asked?: boolean
    }
  /** The registry refused the credentials it was given (`user` names them), or wants some where none were given. */
  | {
      readonly kind: 'unauthorized'
      readonly reference: string
      readonly host: string
      readonly user?: string
      readonly detail: string
      readonly others?: readonly HostAttempt[]
    }
  /** Authenticated or not, this repository may not be read. */
  | {
      readonly kind: 'denied'
      readonly reference: string
      readonly host: string
      readonly user?: string
      readonly detail: string
      readonly others?: readonly HostAttempt[]
    }
  /** The registry asks to wait. */
  | {
      readonly kind: 'rate-limited'
      readonly reference: string
      readonly host: string
      readonly retryAfterSeconds?: number
      readonly others?: readonly HostAttempt[]
    }
  /** No host could be reached, or all answered 5xx. kubelet reads this one's prefix. */
  | { readonly kind: 'registry-unavailable'; readonly reference: string; readonly tried: readonly HostAttempt[] }
  /** registry.recheckAccess wants the registry's own word that this caller may read the image, and it could not be had. */
  | { readonly kind: 'access-unconfirmed'; readonly reference: string; readonly tried: readonly HostAttempt[] }
  /** Bytes that do not have the digest they were asked for by. `from` is the host, or the path for a local copy. */
  | (Asked & {
      readonly kind: 'digest-mismatch'
      readonly what: 'manifest' | 'config' | 'layer' | 'diffID'
      readonly want: string
      readonly got: string
      readonly from: string
    })
  /** More or fewer bytes than the descriptor says. */
  | (Asked & {
      readonly kind: 'size-mismatch'
      readonly digest: string
      readonly want: number
      readonly got: number
      readonly from: string
    })
  /** Well-formed, but not something Windlass pulls: schema 1, encrypted or Windows layers, unknown compression. */
  | (Asked & { readonly kind: 'unsupported'; readonly what: string; readonly mediaType: string; readonly hint: string })
  /** A document from a registry that breaks its specification. */
  | (Asked & { readonly kind: 'malformed'; readonly what: string; readonly from: string; readonly reason: string })
  /** A layer whose compressed stream or tar breaks the rules; `entry` is the member it happened at, escaped for print. */
  | (Asked & { readonly kind: 'bad-layer'; readonly digest: string; readonly entry?: string; readonly reason: string })
  /** An archive of images that is none, or lacks what it must hold; `entry` is the member it is about, escaped for print. */
  | (Asked & { readonly kind: 'bad-archive'; readonly archive: string; readonly entry?: string; readonly reason: string })
  /** A bound of the configuration was reached. */
  | (Asked & {
      readonly kind: 'limit'
      readonly what: string
      readonly limit: number
      readonly setting: string
      readonly digest?: string
    })
  /** ENOSPC, EDQUOT or no inodes left below `path`, or where somebody else opened what was written to. */
  | (Asked & {
      readonly kind: 'no-space'
      readonly path?: string
      readonly code: string
      /** It is the inodes that ran out. */
      readonly inodes?: true
      /** Bytes, where it was seen before they were written: about what is needed, and what of it is not there. */
      readonly needs?: number
      readonly missing?: number
    })
  /** The caller left, or its deadline passed. */
  | { readonly kind: 'cancelled'; readonly reason: 'cancelled' | 'deadline' | 'shutdown' }
  /** The local store has no such image. */
  | { readonly kind: 'image-unknown'; readonly names: readonly string[] }
  /** This process lacks rights it needs; `missing` names the capabilities. */
  | { readonly kind: 'not-permitted'; readonly what: string; readonly missing: readonly string[] }
  /** Another process holds the root directory. */
  | { readonly kind: 'root-in-use'; readonly root: string; readonly pid?: number }
  /** Not done here just now: calls, or pulls, go to the runtime. */
  | { readonly kind: 'passthrough'; readonly reason: string }
  /** A damaged layer cannot be replaced, because it is mounted, or, in a runtime's store, because what `snapshots` names stands on it. */
  | {
      readonly kind: 'layer-in-use'
      readonly layer: string
      readonly mounts: readonly string[]
      readonly snapshots?: readonly string[]
      /** Images that had been taken away by then, and are pulled again. */
      readonly removed?: readonly string[]
    }
  /** Layers are no longer what was pulled, or could not be looked at; each has been told. */
  | {
      readonly kind: 'damaged'
      readonly damaged: number
      readonly unknown: number
      readonly unverifiable: number
      /** A repair has been tried. */
      readonly tried?: boolean
    }
  /** This node is not as it must be; each finding has been told. */
  | { readonly kind: 'unhealthy'; readonly failed: number }
  /** Images that lists declare cannot be pulled as they are declared; each has been told. */
  | { readonly kind: 'unpullable'; readonly failed: number }
  /** Images that lists declare are not here after the time that they were waited for. `more` are not named. */
  | {
      readonly kind: 'not-here-yet'
      readonly afterSeconds: number
      readonly waiting: readonly { readonly image: string; readonly why: string }[]
      readonly more: number
    }
  /** No daemon answers on the socket. */
  | { readonly kind: 'no-daemon'; readonly socket: string; readonly reason: string }
  /** This user may not open the socket: somebody may answer there. */
  | { readonly kind: 'socket-denied'; readonly socket: string }
  /** The container runtime does not listen, or went away during a call. */
  | { readonly kind: 'runtime-down'; readonly runtime: string; readonly socket: string; readonly reason: string }
  /** A pull that failed here, and then in the runtime, which had its own words for it. */
  | { readonly kind: 'both-failed'; readonly ours: Failure; readonly said: string }
  /** The container runtime refused or failed a call of ours. `code` is gRPC's name for it, `detail` the runtime's own words. */
  | {
      readonly kind: 'runtime'
      readonly runtime: string
      readonly socket: string
      readonly operation: string
      readonly code: string
      readonly detail: string
    }
  /** A system call failed in a way no other kind says better. */
  | { readonly kind: 'system'; readonly operation: string; readonly path?: string; readonly code: string }
  /** A broken promise of our own code; carries the cause. */
  | { readonly kind: 'internal'; readonly what: string }

export type FailureKind = Failure['kind']

/** The one error class: `failure` is data for decisions, `message` is `describe(failure)`, `cause` is kept for the log. */
export class WindlassError extends Error {
  readonly failure: Failure

  constructor(failure: Failure, cause?: unknown) {
    super(describe(failure), cause === undefined ? undefined : { cause })
    this.name = 'WindlassError'
    this.failure = failure
  }
}

/** Throws `failure` as a `WindlassError`. */
export function fail(failure: Failure, cause?: unknown): never {
  throw new WindlassError(failure, cause)
}

/** The failure an unknown error stands for: its own, `cancelled` for an abort, the errno's for a system error, else `internal`. */
export function failureOf(error: unknown): Failure {
  if (error instanceof WindlassError) return error.failure
  if (!(error instanceof Error)) return { kind: 'internal', what: String(error) }
  // Cleaning up failed too; what went wrong first is what happened.
  if (error instanceof SuppressedError) return failureOf(error.suppressed)
  if (error.name === 'TimeoutError') return { kind: 'cancelled', reason: 'deadline' }
  if (error.name === 'AbortError') {
    return error.cause === undefined || error.cause === error
      ? { kind: 'cancelled', reason: 'cancelled' }
      : failureOf(error.cause)
  }
  const { code, errno, syscall, path } = error as NodeJS.ErrnoException
  if (typeof code === 'string' && typeof syscall === 'string') return systemFailure(syscall, nameOf(code, errno), path)
  return { kind: 'internal', what: error.message }
}

/** libuv has no name for some errnos, EDQUOT among them: to Node that is "Unknown system error -122". */
function nameOf(code: string, number: number | undefined): string {
  if (!code.startsWith('Unknown') || number === undefined) return code
  return Object.entries(constants.errno).find(([, each]) => each === -number)?.[0] ?? code
}

/** The failure for an errno: a full disk has a kind of its own, because the remedy is another. */
export function systemFailure(operation: string, code: string, path?: string): Failure {
  const where = path === undefined ? {} : { path }
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? { kind: 'no-space', code, ...where }
    : { kind: 'system', operation, code, ...where }
}

/** The `WindlassError` for an unknown error, the same object where it is one already. */
export function asWindlassError(error: unknown): WindlassError {
  return error instanceof WindlassError ? error : new WindlassError(failureOf(error), error)
}

const hasAnswered = ({ answered }: HostAttempt): boolean => answered === true
const attempts = (tried: readonly HostAttempt[]): string =>
  tried.length === 0 ? 'no host was asked' : tried.map(({ host, result }) => `${host}: ${result}`).join('; ')
/** The hosts that were asked beside the one that the sentence is about. */
const besides = (others: readonly HostAttempt[] = []): string => (others.length === 0 ? '' : `; also asked: ${attempts(others)}`)
/** What the sentence is about, before it. */
const about = ({ reference }: Asked): string => (reference === undefined ? '' : `${reference}: `)
const asUser = (user: string | undefined): string => (user === undefined ? 'no credentials were given' : `as user ${user}`)

const isWindows = (platform: string): boolean => platform.startsWith('windows')
function platformAdvice({ wanted, offered, asked }: Extract<Failure, { kind: 'no-platform' }>): string {
  if (offered.length > 0 && offered.every(isWindows)) return 'Windlass does not pull Windows images'
  if (asked === true) return 'ask for one of those, or build it for the one you named'
  return `build it for ${wanted} or schedule the pod on a matching node`
}

/** The errnos an operator meets, with what to do about them. */
const ERRNOS: Readonly<Partial<Record<string, string>>> = {
  EACCES: 'permission denied; run it as root, or choose a directory of your own',
  EPERM: 'not permitted; run it as root',
  EROFS: 'the file system is read-only; choose a directory elsewhere',
  ENOENT: 'no such file or directory',
  ENOTDIR: 'a part of the path is no directory',
  EEXIST: 'there is something of that name already',
  EBUSY: 'it is in use; end what uses it first',
  EMFILE: 'too many open files; raise the limit of this process (ulimit -n)',
}
const inWords = (code: string): string => {
  const words = ERRNOS[code]
  return words === undefined ? code : `${words} (${code})`
}

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`

/** Registries put four megabytes into a media type, and every failed pull is in the log, the history, the queue and a status. */
const LONGEST = { start: 3_000, end: 1_000 }

/** One line for a person: what happened, where, and what to do next. Carries no secret; of what is too long the middle is left out. */
export function describe(failure: Failure): string {
  const text = sentenceOf(failure)
  if (text.length <= LONGEST.start + LONGEST.end) return text
  return `${text.slice(0, LONGEST.start)} … ${text.slice(-LONGEST.end)}`.toWellFormed()
}

function sentenceOf(f: Failure): string {
  switch (f.kind) {
    case 'invalid-reference':
      return `invalid image reference ${JSON.stringify(f.input)}: ${f.reason}`
    case 'invalid-argument':
      return `invalid ${f.what}: ${f.reason}`
    case 'bad-config':
      return [f, ...(f.more ?? [])]
        .map(
          ({ line, field, reason }) =>
            `${f.file}${line === undefined ? '' : `:${line}`}: ${field === undefined ? '' : `${field}: `}${reason}`,
        )
        .join('; ')
    case 'manifest-unknown':
      return `${f.reference}: not found (${attempts(f.tried)}); check the repository and tag${f.tried.length > 1 ? ", and that the node's mirror is up to date" : ''}`
    case 'blob-unknown':
      return `${f.reference}: the registry is missing layer ${f.digest} (${attempts(f.tried)}); push the image again`
    case 'no-platform':
      return `${f.reference}: no image for ${f.wanted}; it offers ${f.offered.length === 0 ? 'no platform' : f.offered.join(', ')}; ${platformAdvice(f)}`
    case 'unauthorized':
      return `authentication failed for ${f.host} (${asUser(f.user)}) while reading ${f.reference}: ${f.detail}; check the pull secret or --creds${besides(f.others)}`
    case 'denied':
      return `pull access denied for ${f.reference} at ${f.host} (${asUser(f.user)}), repository does not exist or may require authorization: ${f.detail}; check the name, and what the pull secret or --creds may read${besides(f.others)}`
    case 'rate-limited':
      return `${f.host} limits the rate of pulls of ${f.reference}${f.retryAfterSeconds === undefined ? '' : `; retry after ${f.retryAfterSeconds} s`}; authenticated pulls and mirrors have higher limits${besides(f.others)}`
    case 'registry-unavailable':
      return f.tried.some(hasAnswered)
        ? `${f.reference}: no registry could serve it (${attempts(f.tried)}); pull again later${f.tried.every(hasAnswered) ? '' : ', check the network of this node'}, and ask who runs it if it stays so`
        : `${f.reference}: no registry could be reached (${attempts(f.tried)}); check the name, the network of this node, and its hosts.toml`
    case 'access-unconfirmed':
      return `${f.reference}: the registry itself could not be asked whether this caller may read it (${f.tried.length === 0 ? 'hosts.toml leaves only mirrors' : attempts(f.tried)}), and registry.recheckAccess is on; ${f.tried.length === 0 ? 'name the registry itself as server in its hosts.toml' : 'pull again when it answers'}, or switch that off`
    case 'digest-mismatch':
      return `${about(f)}${f.what} from ${f.from} has the wrong digest: wanted ${f.want}, got ${f.got}; the copy there, or the way to it, is damaged: pull again, and mend that copy if it stays so${besides(f.others)}`
    case 'size-mismatch':
      return `${about(f)}${f.digest} from ${f.from} has the wrong size: the manifest says ${f.want} bytes, got ${f.got}; the copy there, or the way to it, is damaged: pull again, and mend that copy if it stays so${besides(f.others)}`
    case 'unsupported':
      return `${about(f)}unsupported ${f.what} ${f.mediaType}: ${f.hint}${besides(f.others)}`
    case 'malformed':
      return `${about(f)}${f.what} from ${f.from} is malformed: ${f.reason}${f.reference === undefined ? '' : `; push the image again, or see what answers there in the registry's place (a proxy, a login page)${besides(f.others)}`}`
    case 'bad-layer':
      return `${about(f)}layer ${f.digest} cannot be unpacked${f.entry === undefined ? '' : ` at ${f.entry}`}: ${f.reason}; build the image again, and ask who made it if that does not help`
    case 'bad-archive':
      return `${about(f)}${f.archive} cannot be loaded${f.entry === undefined ? '' : ` at ${f.entry}`}: ${f.reason}; save it anew, or copy it again where it was cut off`
    case 'limit':
      return `${about(f)}${f.digest === undefined ? '' : `layer ${f.digest}: `}${f.what} exceeds the limit of ${f.limit}; raise ${f.setting} if this image is trusted`
    case 'no-space':
      if (f.needs !== undefined && f.missing !== undefined)
        return `${about(f)}this image needs at least ${megabytes(f.needs)} below ${f.path}, and ${megabytes(f.missing)} of that are missing, whatever may go; free space there, or remove images (windlass gc --dry-run says what stays and why)`
      if (f.inodes === true && f.path !== undefined)
        return `${about(f)}no inodes left below ${f.path} (${f.code}): that file system can hold no more files (df -i), whatever bytes are free; remove files there, or images`
      return f.path === undefined
        ? `${about(f)}no space left where the output goes (${f.code})`
        : `${about(f)}no space left below ${f.path} (${f.code}); free space or inodes, or remove images`
    case 'cancelled':
      return { cancelled: 'cancelled by the caller', deadline: 'deadline exceeded', shutdown: 'the daemon is shutting down' }[
        f.reason
      ]
    case 'image-unknown':
      return `${f.names.length === 1 ? 'image' : 'images'} ${f.names.join(', ')} ${f.names.length === 1 ? 'is' : 'are'} not here; windlass images lists what is`
    case 'not-permitted':
      return `${f.what} needs rights this process lacks (${f.missing.join(', ')}); run it as root`
    case 'root-in-use':
      return `${f.root} is in use by another windlass${f.pid === undefined ? '' : ` (pid ${f.pid})`}; a daemon is asked with --socket PATH in place of --root; else stop it, or choose another --root`
    case 'passthrough':
      return `this is left to the runtime: ${f.reason}`
    case 'layer-in-use':
      if (f.snapshots !== undefined && f.snapshots.length > 0)
        return `layer ${f.layer} is damaged and cannot be replaced while containers stand on it (${f.snapshots.join(', ')}); ${f.removed === undefined ? 'nothing was changed' : `${f.removed.join(', ')} had been removed by then, to be pulled again`}; remove those containers (crictl rm, ctr -n k8s.io snapshots rm), then: windlass verify --repair`
      return `layer ${f.layer} is damaged and cannot be replaced while it is mounted (${f.mounts.join(', ')}); end what uses it there, then pull again (in containerd: windlass verify --repair)`
    case 'damaged':
      return [
        ...(f.damaged === 0
          ? []
          : [
              f.tried === true
                ? `${f.damaged} ${f.damaged === 1 ? 'layer is' : 'layers are'} still damaged: the lines that begin with failed say why; mend that, then windlass verify --repair once more`
                : `${f.damaged} ${f.damaged === 1 ? 'layer is' : 'layers are'} damaged; windlass verify --repair brings ${f.damaged === 1 ? 'it' : 'them'} again`,
            ]),
        ...(f.unknown === 0 ? [] : [`${f.unknown} ${f.unknown === 1 ? 'layer' : 'layers'} could not be verified`]),
        ...(f.unverifiable === 0
          ? []
          : [
              `${f.unverifiable} ${f.unverifiable === 1 ? 'layer' : 'layers'} cannot be verified, for want of a tar-split; the table says why`,
            ]),
      ].join('; ')
    case 'unhealthy':
      return `${f.failed} ${f.failed === 1 ? 'finding is' : 'findings are'} marked FAIL; mend what they name`
    case 'unpullable':
      return `${f.failed} ${f.failed === 1 ? 'image' : 'images'} cannot be pulled as declared; mend what the lines above say of each, in the list or at its registry`
    case 'not-here-yet':
      return `not here after ${f.afterSeconds} s: ${f.waiting.map(({ image, why }) => `${image} (${why})`).join('; ')}${f.more === 0 ? '' : `, and ${f.more} more`}; windlass queue shows how far they are`
    case 'no-daemon':
      return `no daemon answers on ${f.socket} (${f.reason}); start one with: windlass serve, or work without one on a root of your own with --root DIR`
    case 'socket-denied':
      return `this user may not open ${f.socket} (permission denied); run it as root, or have the socket, and its directory, opened to a group of yours; or work without a daemon on a root of your own with --root DIR`
    case 'runtime-down':
      return `${f.runtime} does not answer on ${f.socket} (${f.reason}); see that it runs and what it logs, or correct runtime.endpoint`
    case 'both-failed':
      return `${describe(f.ours)}; the runtime tried too: ${f.said}`
    case 'runtime':
      return `${f.runtime} at ${f.socket} did not ${f.operation}: ${f.code}: ${f.detail}; see that it runs, and what it logs`
    case 'system':
      return `${f.operation}${f.path === undefined ? '' : ` ${f.path}`}: ${inWords(f.code)}`
    case 'internal':
      return `internal error: ${f.what}`
  }
}
