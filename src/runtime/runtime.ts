/**
 * The container runtime of this node, as far as its images concern us: where it listens, which one it is, what it says of itself, and
 * whether images can be landed in its store. `find.ts` looks for it, `inspect.ts` asks it.
 */

/** A login in containerd's configuration; what it does not say is empty. */
export type ContainerdLogin = {
  readonly username: string
  readonly password: string
  /** base64 of `username:password`. */
  readonly auth: string
  readonly identityToken: string
}

/** What containerd's own configuration says of registries beside its directories of hosts.toml files. Holds secrets. */
export type ContainerdRegistries = {
  readonly file: string
  /** Endpoints by registry, `*` for the others. */
  readonly mirrors: Readonly<Record<string, readonly string[]>>
  /** By host and port of an endpoint; files. */
  readonly tls: Readonly<
    Record<
      string,
      {
        readonly ca: readonly string[]
        readonly client: readonly { readonly cert: string; readonly key: string }[]
        readonly skipVerify: boolean
      }
    >
  >
  /** For every host, names in lower case. */
  readonly headers: Readonly<Record<string, readonly string[]>>
  /** By host and port of an endpoint. */
  readonly logins: Readonly<Record<string, ContainerdLogin>>
}

export type RuntimeKind = 'containerd' | 'crio'

/** Where a runtime listens; nobody need answer there yet. */
export type RuntimeAddress = { readonly kind: RuntimeKind; readonly socket: string }

/** What a runtime that answers says of itself. What it does not say is absent. */
export type RuntimeFacts = {
  /** As its Version call has them: `containerd`, `1.6.20~ds1`. */
  readonly name: string
  readonly version: string
  /** containerd's default snapshotter. */
  readonly snapshotter?: string
  /** Runtime handlers that use another snapshotter than the default, by name. */
  readonly otherSnapshotters: ReadonlyMap<string, string>
  /** Where containerd keeps what is to outlast a reboot. */
  readonly rootDir?: string
  /** The image of pods' sandboxes, which must stay. */
  readonly sandboxImage?: string
  /** Its registry configuration directories (`config_path`), colons between them. */
  readonly hostsDir?: string
  /** What else it says of registries; mirrors and TLS count only where there is no `hostsDir`. */
  readonly registries?: ContainerdRegistries
  /** Why pulls into its store must be its own, one sentence each; none where they can be ours. */
  readonly obstacles: readonly string[]
}
