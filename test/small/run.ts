/** One pull by a daemon in a control group that has less memory than the image has bytes, and less than one CPU. */
import { join } from 'node:path'
import type { Abortable } from '../../src/task/task.ts'
import { startWindlass } from '../integration/windlass.ts'
import type { Group, Spent } from './group.ts'

/** `dir` is on a disk: what is in a tmpfs is memory, which nobody can take back from the group. */
export type SmallPull = { readonly group: Group; readonly dir: string; readonly image: string; readonly imageId: string }

export type Small = Spent & { readonly seconds: number }

export async function pullSmall({ group, dir, image, imageId }: SmallPull, { signal }: Abortable): Promise<Small> {
  const env = { NODE_COMPILE_CACHE: join(dir, 'compiled') }
  // As a node has it after its first start: compiling all anew takes more than the group may have.
  await (await startWindlass(join(dir, 'first'), { signal, env }))[Symbol.asyncDispose]()
  await using windlass = await startWindlass(join(dir, 'windlass'), { signal, env, wrapper: group.wrapper })
  const started = performance.now()
  const { imageRef } = await windlass.cri.image.pullImage({ image: { image } }, { signal })
  const seconds = (performance.now() - started) / 1000
  if (imageRef !== imageId) throw new Error(`it pulled ${imageRef}, wanted ${imageId}`)
  return { seconds, ...group.spent() }
}
