/** Who somebody is, told without what they log in with. */
import { createHmac } from 'node:crypto'
import type { Credentials } from '../registry/registry.ts'

/** Tells logins apart, and says the same of the same one. */
export type Identify = (credentials: Credentials) => string

/**
 * A hash under a key that only this node has, so that nobody can try out passwords on what is kept, or find the same login on two nodes.
 * All of the login counts: behind a name such as AWS or _json_key there may be anybody. So a password that was changed makes another identity.
 */
export const identifier =
  (key: Uint8Array): Identify =>
  (credentials) =>
    credentials.kind === 'anonymous'
      ? 'anonymous'
      : createHmac('sha256', key).update(canonical(credentials)).digest('hex').slice(0, 32)

/** The same text for the same login, whoever made the object. */
export const canonical = (credentials: Credentials): string => JSON.stringify(Object.entries(credentials).sort())
