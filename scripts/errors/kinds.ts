/** What each kind of failure means, what to do, and one that looks like those people meet: the part of docs/errors.md that code does not know. */
import { defaults } from '../../src/config/config.ts'
import type { Failure, FailureKind, HostAttempt } from '../../src/failure/failure.ts'
import { parseDigest } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/oci.ts'
import { parseManifestOrIndex } from '../../src/oci/parse.ts'
import { parsePlatform } from '../../src/platform/platform.ts'
import { parseReference } from '../../src/reference/parse.ts'
import { SAID_OF_SOCKETS } from '../../src/rpc/socket.ts'
import { SWITCHED_BY_HAND, waysOut } from '../../src/runtime/passthrough.ts'
import { badConfig, failureIn } from './real.ts'

export type Explained<K extends FailureKind = FailureKind> = {
  readonly means: string
  readonly act: string
  readonly examples: readonly [Extract<Failure, { kind: K }>, ...Extract<Failure, { kind: K }>[]]
}

const reference = 'registry.example/team/app:v2'
const host = 'registry.example'
const mirror: HostAttempt = { host: 'mirror.example', result: '404 MANIFEST_UNKNOWN: manifest unknown', answered: true }
const digest = `sha256:${'4b'.repeat(32)}`
const other = `sha256:${'c0'.repeat(32)}`
const root = defaults.rootDir
const containerd = { runtime: 'containerd', socket: '/run/containerd/containerd.sock' } as const

/** What registries send where an image is meant. */
const manifest = { mediaType: mediaTypes.ociManifest, digest: parseDigest(digest, 'example') }
const chart = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: 'application/vnd.cncf.helm.config.v1+json', digest, size: 2 },
    layers: [],
  }),
)
const loginPage = Buffer.from('<!DOCTYPE html>')

/** In the order of the page. */
export const groups: readonly (readonly [title: string, kinds: readonly FailureKind[]])[] = [
  ['What was asked for', ['invalid-reference', 'invalid-argument', 'bad-config', 'image-unknown']],
  [
    'The registry',
    ['manifest-unknown', 'blob-unknown', 'unauthorized', 'denied', 'rate-limited', 'registry-unavailable', 'access-unconfirmed'],
  ],
  [
    'The image',
    ['no-platform', 'digest-mismatch', 'size-mismatch', 'unsupported', 'malformed', 'bad-layer', 'bad-archive', 'limit'],
  ],
  [
    'This node',
    ['no-space', 'not-permitted', 'root-in-use', 'no-daemon', 'socket-denied', 'layer-in-use', 'damaged', 'unhealthy', 'system'],
  ],
  ['Image lists', ['unpullable', 'not-here-yet']],
  ['The runtime', ['runtime-down', 'runtime', 'both-failed', 'passthrough']],
  ['Neither', ['cancelled', 'internal']],
]

export const explained: { readonly [K in FailureKind]: Explained<K> } = {
  'invalid-reference': {
    means: 'The text is no image reference, or the registry says that it cannot be one (`NAME_INVALID`, `TAG_INVALID`).',
    act: 'Correct the `image:` of the pod, or what was typed.',
    examples: [failureIn('invalid-reference', () => parseReference('Team/App:v2'))],
  },
  'invalid-argument': {
    means: 'A request, flag or argument cannot be honoured as it stands.',
    act: 'Do as the text says; `windlass COMMAND --help` shows what is wanted.',
    examples: [failureIn('invalid-argument', () => parsePlatform('linux/'))],
  },
  'bad-config': {
    means: 'The configuration, or a `hosts.toml`, does not say what it must. Each mistake is told with its line.',
    act: 'Correct the file. `windlass config` prints what is in force; a daemon beside a runtime hands pulls on meanwhile.',
    examples: [
      badConfig(`apiVersion: windlass.dev/v1alpha1
kind: WindlassConfiguration
gc:
  minimumage: 2m
  maximumAge: soon
`),
    ],
  },
  'image-unknown': {
    means: 'The store has no image of this name, id or digest.',
    act: '`windlass images` lists what is here; `windlass pull` brings it. To look at an image without pulling it, leave out `--local`.',
    examples: [{ kind: 'image-unknown', names: ['app:v3'] }],
  },
  'manifest-unknown': {
    means:
      'Every host that could be asked says that it has no such tag, digest or repository. Some registries say so, too, of what one may not see.',
    act: 'Check the spelling and that the image was pushed; behind a mirror, that it is up to date; for a private repository, the pull secret.',
    examples: [
      {
        kind: 'manifest-unknown',
        reference,
        tried: [mirror, { host, result: '404 MANIFEST_UNKNOWN: manifest unknown', answered: true }],
      },
    ],
  },
  'blob-unknown': {
    means:
      'The registry has the manifest, and not a layer or config that it names: a push that broke off, or a collection that took too much.',
    act: 'Push the image again.',
    examples: [
      {
        kind: 'blob-unknown',
        reference,
        digest,
        tried: [{ host, result: '404 BLOB_UNKNOWN: blob unknown to registry', answered: true }],
      },
    ],
  },
  unauthorized: {
    means: 'The registry refused the credentials, or wants some where none were given.',
    act: 'Check the pull secret (its registry must be the one in the reference), or `--creds`.',
    examples: [
      {
        kind: 'unauthorized',
        reference,
        host,
        user: 'ci',
        detail: '401 UNAUTHORIZED: authentication required',
        others: [mirror],
      },
    ],
  },
  denied: {
    means: 'Logged in or not, this repository may not be read; registries say the same of one that does not exist.',
    act: 'Check the name, then what the account may read.',
    examples: [{ kind: 'denied', reference, host, detail: '403 DENIED: requested access to the resource is denied' }],
  },
  'rate-limited': {
    means: 'The registry asks to wait, for longer than a pull does by itself.',
    act: 'Wait as long as it says; log in, or set up a mirror.',
    examples: [{ kind: 'rate-limited', reference, host, retryAfterSeconds: 120 }],
  },
  'registry-unavailable': {
    means: 'No host could be reached, or those that could answered 5xx. The reason of the pod becomes `RegistryUnavailable`.',
    act: 'Each host is named with what became of it: a name that does not resolve, a refused connection, a certificate that is not trusted. Mend that, or wait for the registry. How a host is asked, whether over plain HTTP and by which authority, says its hosts.toml: [registries.md](registries.md).',
    examples: [
      {
        kind: 'registry-unavailable',
        reference,
        tried: [
          { host: 'mirror.example', result: 'connection refused' },
          { host, result: 'no such host name' },
        ],
      },
      { kind: 'registry-unavailable', reference, tried: [{ host, result: '503', answered: true }] },
    ],
  },
  'access-unconfirmed': {
    means:
      'With `registry.recheckAccess` on, the registry itself must confirm that this caller may read the image, and it could not be asked. What is here, or on a mirror, is no such word. The reason of the pod becomes `RegistryUnavailable`.',
    act: 'Pull again when the registry answers. Where it never can be asked (only mirrors are reachable), leave the policy off. [access.md](access.md)',
    examples: [{ kind: 'access-unconfirmed', reference, tried: [{ host, result: 'connection refused' }] }],
  },
  'no-platform': {
    means: 'The image has nothing for this node. What it offers is listed; `windlass platforms` shows it too.',
    act: 'Build it for this platform, or schedule the pod on another node.',
    examples: [{ kind: 'no-platform', reference, wanted: 'linux/arm64', offered: ['linux/amd64', 'linux/s390x'] }],
  },
  'digest-mismatch': {
    means: 'The bytes are not those that were asked for. Nothing of them was kept.',
    act: 'Pull again. If it stays so, the copy on that host is damaged: push the image again, or empty the mirror.',
    examples: [
      {
        kind: 'digest-mismatch',
        reference,
        what: 'layer',
        want: digest,
        got: other,
        from: 'mirror.example',
        others: [{ host, result: 'connection refused' }],
      },
    ],
  },
  'size-mismatch': {
    means: 'There are more or fewer bytes than the manifest says. Nothing of them was kept.',
    act: 'As for `digest-mismatch`.',
    examples: [{ kind: 'size-mismatch', reference, digest, want: 31_415, got: 27_182, from: host }],
  },
  unsupported: {
    means:
      'Well-formed, and nothing that Windlass pulls: schema 1, artifacts, encrypted or foreign layers, an unknown compression; or records of a newer Windlass.',
    act: 'The text says what would do.',
    examples: [{ ...failureIn('unsupported', () => parseManifestOrIndex(chart, manifest, host)), reference }],
  },
  malformed: {
    means: 'A document or an answer breaks its specification, or could be read in two ways.',
    act: 'Push the image again with a current tool; see that no proxy or login page answers in place of the registry.',
    examples: [{ ...failureIn('malformed', () => parseManifestOrIndex(loginPage, manifest, host)), reference }],
  },
  'bad-layer': {
    means: 'A layer’s compressed stream or tar breaks the rules; `entry` names the member.',
    act: 'Build the image again. [extraction.md](extraction.md) says what is refused, and why.',
    examples: [
      { kind: 'bad-layer', reference, digest, entry: 'usr/bin/app', reason: 'the archive ends in the middle of a file' },
    ],
  },
  'bad-archive': {
    means:
      'What `windlass load` was given is no archive of images, breaks the format, or lacks a part of the image that is wanted.',
    act: 'Save the image again, or copy the archive again where it was cut off.',
    examples: [
      { kind: 'bad-archive', archive: 'app.tar', reason: `it lacks ${digest}, which the image is made of` },
      { kind: 'bad-archive', archive: 'app.tar', entry: 'manifest.json', reason: 'the archive holds this name more than once' },
    ],
  },
  limit: {
    means: 'A bound of the configuration was reached: it protects the node from an image that fills it.',
    act: 'Raise the setting if the image is trusted ([configuration.md](configuration.md)).',
    examples: [
      {
        kind: 'limit',
        reference,
        what: 'the unpacked size',
        limit: 68_719_476_736,
        setting: 'limits.maxUnpackedSize',
        digest,
      },
    ],
  },
  'no-space': {
    means: 'The disk or its inodes are used up, or would be by this image.',
    act: 'Free space; `windlass gc --dry-run` says what stays and why.',
    examples: [
      { kind: 'no-space', reference, path: root, code: 'ENOSPC', needs: 5_400_000_000, missing: 1_200_000_000 },
      { kind: 'no-space', reference, path: root, code: 'EDQUOT' },
    ],
  },
  'not-permitted': {
    means: 'This process lacks rights: layers hold owners, devices and trusted attributes.',
    act: 'Run it as root, with the capabilities of the systemd unit.',
    examples: [{ kind: 'not-permitted', what: 'unpacking layers', missing: ['CAP_CHOWN', 'CAP_MKNOD'] }],
  },
  'root-in-use': {
    means: 'Another Windlass works on this root.',
    act: 'Ask that daemon with `--socket`, or choose another `--root`.',
    examples: [{ kind: 'root-in-use', root, pid: 812 }],
  },
  'no-daemon': {
    means: 'Nobody answers on the socket.',
    act: '`systemctl status windlass`, or work without a daemon: `--root DIR`.',
    examples: [{ kind: 'no-daemon', socket: defaults.socket.path, reason: SAID_OF_SOCKETS.ENOENT }],
  },
  'socket-denied': {
    means: 'The socket is there, or may be, and this user may not open it: whoever can open it can pull and remove images.',
    act: 'Be root. To open it to a group: [configuration.md](configuration.md).',
    examples: [{ kind: 'socket-denied', socket: defaults.socket.path }],
  },
  'layer-in-use': {
    means: 'A layer is damaged, and mounted, or a container in containerd stands on it: it cannot be replaced.',
    act: 'End the containers that use it, then pull again; in containerd remove them, then `windlass verify --repair`.',
    examples: [
      { kind: 'layer-in-use', layer: '4b'.repeat(32), mounts: ['/run/containerd/app/rootfs'] },
      { kind: 'layer-in-use', layer: '4b'.repeat(32), mounts: [], snapshots: ['c1'], removed: ['registry.example/child:1'] },
    ],
  },
  damaged: {
    means: '`windlass verify` found layers that are not what was pulled.',
    act: '`windlass verify --repair`. [verify.md](verify.md)',
    examples: [{ kind: 'damaged', damaged: 2, unverifiable: 0, unknown: 1 }],
  },
  unhealthy: {
    means: '`windlass doctor` found the node lacking.',
    act: 'Mend what the findings name.',
    examples: [{ kind: 'unhealthy', failed: 2 }],
  },
  unpullable: {
    means: '`windlass check` has found images in lists that cannot be had: for a platform, with a login, or at all.',
    act: 'Each is on a line of its own, with what is wrong.',
    examples: [{ kind: 'unpullable', failed: 2 }],
  },
  'not-here-yet': {
    means: '`windlass wait` has waited as long as `--timeout` says, and images that lists declare are not here.',
    act: 'Each is named with what it waits for, or what it failed of last. `windlass queue` shows when it is tried again.',
    examples: [{ kind: 'not-here-yet', afterSeconds: 600, waiting: [{ image: reference, why: 'waiting' }], more: 0 }],
  },
  system: {
    means: 'A system call failed in a way that no other kind says better.',
    act: 'The call, its path and the errno are in the text; the log of the daemon has the cause.',
    examples: [{ kind: 'system', operation: 'mkdir', path: root, code: 'EROFS' }],
  },
  'runtime-down': {
    means: 'The container runtime does not listen, or went away during a call.',
    act: 'See that it runs, and what it logs.',
    examples: [{ kind: 'runtime-down', ...containerd, reason: SAID_OF_SOCKETS.ECONNREFUSED }],
  },
  runtime: {
    means: 'The runtime refused or failed a call of ours.',
    act: 'Its own words are in the text; its log has more.',
    examples: [
      {
        kind: 'runtime',
        ...containerd,
        operation: 'commit a snapshot',
        code: 'INTERNAL',
        detail: 'write: read-only file system',
      },
    ],
  },
  'both-failed': {
    means:
      'A pull failed here, was handed to the runtime, and failed there. The codes are those of our own failure; a name that kubelet knows and only the runtime said comes first.',
    act: 'Our own failure is the first to mend. [forwarding.md](forwarding.md)',
    examples: [
      {
        kind: 'both-failed',
        ours: { kind: 'registry-unavailable', reference, tried: [{ host, result: 'connection refused' }] },
        said: 'failed to pull and unpack image: dial tcp 192.0.2.7:443: connect: connection refused',
      },
      {
        kind: 'both-failed',
        ours: { kind: 'system', operation: 'openat', path: root, code: 'EMFILE' },
        said: 'SignatureValidationFailed: image policy denied: no signature of key release',
      },
    ],
  },
  passthrough: {
    means: 'Pulls are left to the runtime just now; kubelet’s are handed on and never see this.',
    act: '`windlass passthrough off`, or what the text names.',
    examples: [{ kind: 'passthrough', reason: `${SWITCHED_BY_HAND}; ${waysOut({ isFixed: false })}` }],
  },
  cancelled: {
    means:
      'The caller left, its deadline passed, or the daemon stops. Nothing of the pull is left behind; other callers of the same image are not disturbed.',
    act: 'Ask again.',
    examples: [
      { kind: 'cancelled', reason: 'cancelled' },
      { kind: 'cancelled', reason: 'deadline' },
      { kind: 'cancelled', reason: 'shutdown' },
    ],
  },
  internal: {
    means: 'A broken promise of our own code.',
    act: 'Report it, with the log of the daemon. The pull was handed to the runtime where there is one.',
    examples: [{ kind: 'internal', what: 'no diffID for layer 3' }],
  },
}
