/** What a daemon and each of its parts is made from. */
import type { Config } from '../config/config.ts'
import type { Logger } from './log.ts'

/** `version` is Windlass's own. */
export type Basics = { readonly config: Config; readonly version: string; readonly log: Logger }
