/** A node of a test's own: a daemon on a fresh tmpfs, and what a test wants to know of it. */
import { mkdtempDisposable, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { PullInFlight__Output } from '../../src/rpc/generated/windlass/v1/PullInFlight.ts'
import type { Abortable } from '../../src/task/task.ts'
import { mounted } from './process.ts'
import { startWindlass, type Windlass } from './windlass.ts'

export interface TestNode extends AsyncDisposable {
  readonly windlass: Windlass
  /** A path on the node's file system that is the test's to use. */
  at(name: string): string
  /** PullImage, its image_ref. */
  pull(reference: string, options: Abortable): Promise<string>
  /** Waits until the pulls in flight are as wanted. */
  pulls(wanted: (pulls: readonly PullInFlight__Output[]) => boolean, options: Abortable): Promise<void>
  /** What is being unpacked or removed right now: nothing, where no pull is under way. */
  unfinished(): Promise<readonly string[]>
}

/** `envIn` is told the test's directory, and says what the daemon's environment holds beside our own. */
export async function startNode({
  signal,
  envIn,
}: Abortable & { readonly envIn?: (dir: string) => Readonly<Record<string, string>> }): Promise<TestNode> {
  await using resources = new AsyncDisposableStack()
  const temporary = resources.use(await mkdtempDisposable(join(tmpdir(), 'windlass-node-')))
  resources.use(mounted(temporary.path, ['-t', 'tmpfs', 'tmpfs']))
  const windlass = resources.use(
    await startWindlass(join(temporary.path, 'windlass'), { signal, env: envIn?.(temporary.path) ?? {} }),
  )
  const owned = resources.move()
  return {
    windlass,
    at: (name) => join(temporary.path, name),
    pull: async (reference, options) => (await windlass.cri.image.pullImage({ image: { image: reference } }, options)).imageRef,
    pulls: (wanted, options) => watch(windlass, wanted, options),
    unfinished: async () => (await Promise.all(['staging', 'trash'].map((name) => readdir(join(windlass.root, name))))).flat(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function watch(
  { cri }: Windlass,
  wanted: (pulls: readonly PullInFlight__Output[]) => boolean,
  options: Abortable,
): Promise<void> {
  for await (const { pulls } of cri.windlass.watchPulls({}, options)) if (wanted(pulls)) return
  throw new Error('the daemon stopped telling about its pulls')
}

/** For what the daemon does behind its answers (removal in the background) and tells nobody about. */
export async function eventually(
  check: () => Promise<boolean>,
  { signal, seconds = 10 }: Abortable & { readonly seconds?: number },
): Promise<void> {
  const patience = AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)])
  while (!(await check())) {
    await delay(20, undefined, { signal: patience }).catch((error: unknown) => {
      throw new Error(`it never came about: ${check}`, { cause: error })
    })
  }
}
