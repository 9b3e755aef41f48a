/** Images of one group, one after the other. */
import { asWindlassError, WindlassError } from '../../failure/failure.ts'

/** A containerd that did not answer one in time is not asked for the others: each would wait as long. */
export async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly (R | WindlassError)[]> {
  const outcomes: (R | WindlassError)[] = []
  let late: WindlassError | undefined
  for (const item of items) {
    const outcome = late ?? (await work(item).catch((error: unknown) => asWindlassError(error)))
    if (outcome instanceof WindlassError && isLate(outcome)) late = outcome
    outcomes.push(outcome)
  }
  return outcomes
}

const isLate = ({ failure }: WindlassError): boolean => failure.kind === 'runtime' && failure.code === 'DEADLINE_EXCEEDED'
