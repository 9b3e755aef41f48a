/** How the daemon meets the world: who started it, its socket, and what it is told. */
import type { Inherited } from '../rpc/activation.ts'
import type { Notifier } from '../sys/notify.ts'
import type { Abortable } from '../task/task.ts'
import type { Basics } from './basics.ts'

/** The service manager, the socket that was given, if any, and whether calls are answered. */
export type Door = { readonly manager: Notifier; readonly inherited?: Inherited; isOpen: boolean }

export type DaemonOptions = Abortable & {
  readonly onReady?: () => void
  /** Given what is to be called at SIGHUP; without that SIGHUP stops the daemon. */
  readonly onReload?: (reload: () => void) => void
  /** Why the configuration could not be used: beside a runtime, all calls are handed to it; else it is thrown. */
  readonly broken?: Error
}

/** What its parts are made from, once it is to answer calls. */
export type Daemon = Basics & { readonly door: Door; readonly options: DaemonOptions }
