import type { Failure } from '../failure/failure.ts'
import { probe } from '../rpc/socket.ts'
import type { Abortable } from '../task/task.ts'
import type { RuntimeAddress } from './runtime.ts'

/**
 * Whether nobody listens at the runtime's socket just now: what everybody is told who asks how the daemon is. Looked at anew each time, for it
 * may have gone, and come back, since any call was made. Throws cancelled.
 */
export async function whyAway({ kind, socket }: RuntimeAddress, options: Abortable): Promise<Failure | undefined> {
  const answer = await probe(socket, options)
  return answer.kind === 'alive' ? undefined : { kind: 'runtime-down', runtime: kind, socket, reason: answer.reason }
}
