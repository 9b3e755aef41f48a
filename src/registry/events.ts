/** What the client tells a log: hosts, paths below a repository, and what hosts said, without what they were sent and without queries. */
export type RegistryEvent =
  | {
      readonly type: 'answer'
      readonly host: string
      readonly method: string
      readonly path: string
      readonly result: string
      /** The HTTP status, or in its place what kept it from coming: a closed set. */
      readonly code: string
      /** To the head of the answer, logins included; to the end of it. */
      readonly headMs: number
      readonly ms: number
    }
  /** HTTPS did not work, and this host may be asked over plain HTTP. */
  | { readonly type: 'plain-http'; readonly host: string }
  /** A key of a hosts.toml that nobody knows is passed over; told once of each file, and again where it has others. */
  | { readonly type: 'unknown-key'; readonly file: string; readonly line?: number; readonly key: string; readonly meant?: string }
  /** The same host is asked again. */
  | { readonly type: 'retry'; readonly host: string; readonly path: string; readonly reason: string; readonly delayMs: number }
  /** This host did not deliver; the next one, where there is one, is asked. */
  | { readonly type: 'host-failed'; readonly host: string; readonly path: string; readonly reason: string }
