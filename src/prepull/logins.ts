/** Who to log in as, where several may do. */
import { failureOf } from '../failure/failure.ts'
import type { Credentials } from '../registry/registry.ts'

/** With the first login that the registry accepts; with none, the node's own are tried. Throws what the last attempt did. */
export async function withLogins<T>(
  logins: readonly Credentials[],
  attempt: (credentials: Credentials) => Promise<T>,
): Promise<T> {
  const tries: readonly Credentials[] = logins.length === 0 ? [{ kind: 'anonymous' }] : logins
  for (const [at, credentials] of tries.entries())
    try {
      return await attempt(credentials)
    } catch (error) {
      const { kind } = failureOf(error)
      if (at + 1 === tries.length || (kind !== 'unauthorized' && kind !== 'denied')) throw error
    }
  throw new RangeError('no login was tried')
}
