/** What a daemon, and whatever does its work without one, is made from. */
import type { Config } from '../config/config.ts'
import type { Logger } from './log.ts'

/** `version` is Windlass's own. */
export type Basics = { readonly config: Config; readonly version: string; readonly log: Logger }
