/**
 * What the CLI needs of the rest: the composition root gives it, so that `--help` loads none of it. `C` is the configuration, which the
 * CLI carries from one door to the next without looking further in than `InForce`.
 */
import type { Finding } from '../doctor/finding.ts'
import type { Collector } from '../gc/gc.ts'
import type { Housekeeper } from '../gc/housekeeper.ts'
import type { Platform } from '../oci/oci.ts'
import type { Checked } from '../prepull/check.ts'
import type { ImageList } from '../prepull/prepull.ts'
import type { Proof, ProveAsk, ProveOptions } from '../prove/prove.ts'
import type { History } from '../pull/history.ts'
import type { Looker } from '../pull/look.ts'
import type { Puller } from '../pull/pull.ts'
import type { Store } from '../store/store.ts'
import type { Abortable } from '../task/task.ts'
import type { LayerVerifier } from '../verify/verify.ts'

/** What of the configuration the CLI looks at. */
export type InForce = {
  readonly rootDir: string
  readonly socket: { readonly path: string }
  readonly warnings: readonly string[]
}

/** Where the configuration comes from: `--config`, the flags as typed, and the environment. */
export type Sources = {
  readonly file?: string
  readonly flags: {
    readonly root?: string
    readonly socket?: string
    readonly hostsDir?: string
    readonly runtime?: string
    readonly runtimeEndpoint?: string
  }
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The pull path without a daemon, on a root of one's own. Disposing it ends its pulls and lets go of the root. */
export interface Embedded extends AsyncDisposable {
  readonly puller: Puller
  readonly looker: Looker
  readonly history: Pick<History, 'list'>
  readonly store: Store
  readonly collector: Collector
  readonly verifier: LayerVerifier
  readonly housekeeper: Pick<Housekeeper, 'sweep'>
}

/** What `check` was told beside the configuration. */
export type CheckAsk = {
  readonly authFile?: string
  readonly secretsDir?: string
  readonly archiveDir?: string
  /** For archives that cannot be read in place. */
  readonly spoolDir: string
}

/** Looks at images where they are to come from. */
export interface Checker extends AsyncDisposable {
  check(lists: readonly ImageList[], platforms: readonly Platform[], options: Abortable): Promise<Checked>
}

export type ServeOptions = Abortable & {
  readonly onReady?: () => void
  /** Called, if at all, with what SIGHUP is to do from then on; else it stops the daemon. */
  readonly onReload?: (reload: () => void) => void
  readonly broken?: Error
}

export type Deps<C extends InForce = InForce> = {
  /** Throws bad-config, invalid-argument. */
  readonly loadConfig: (sources: Sources) => C | Promise<C>
  /** Flags by themselves. Throws invalid-argument. */
  readonly checkFlags: (flags: Sources['flags']) => void
  /** The configuration as the document one would write to get it. */
  readonly configDocument: (config: C) => Readonly<Record<string, unknown>> | Promise<Readonly<Record<string, unknown>>>
  /** Runs the daemon until `signal` aborts; resolves when everything is put away. `onReady` is called once the socket answers. */
  readonly serve: (config: C, options: ServeOptions) => Promise<void>
  /** What can be made of sources that `loadConfig` refuses. */
  readonly salvageConfig: (sources: Sources) => C
  /** Looks this node over; with `ownRoot` for work without a daemon. */
  readonly examine: (config: C, options: Abortable & { readonly ownRoot: boolean }) => Promise<readonly Finding[]>
  /** Pulls an image with Windlass and with this node's containerd, and compares. */
  readonly prove: (config: C, ask: ProveAsk, options: ProveOptions) => Promise<Proof>
  /** The image lists of a file. Throws bad-config. */
  readonly readLists: (file: string) => readonly ImageList[]
  /** `onProblem` hears why a login could not be looked for. */
  readonly openChecker: (config: C, ask: CheckAsk, onProblem: (problem: string) => void) => Promise<Checker>
  readonly openEmbedded: (config: C, options: Abortable) => Promise<Embedded>
  /** Of Windlass itself. */
  readonly version: string
}
