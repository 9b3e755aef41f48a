/** What this machine lacks for a test: `describe.skipIf(lacking('root', 'containerd'))`. The test command says what is skipped and why. */
import { isRoot, which } from '../../scripts/machine.ts'

/** True if any of these is not here: `root`, or a command. */
export const lacking = (...needs: readonly string[]): boolean =>
  needs.some((need) => (need === 'root' ? !isRoot() : which(need) === undefined))
