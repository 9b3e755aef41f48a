/** The merged tree of an image is the same, entry by entry, whether Windlass or containerd has unpacked it. */
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { differences, readTree } from '../../src/prove/tree.ts'
import type { Abortable } from '../../src/task/task.ts'
import { startDockerRegistry } from '../registry/docker-registry.ts'
import { startContainerd } from './containerd.ts'
import { changedDebian, impliedInDebian } from './debian.ts'
import { lacking } from './lacking.ts'
import { impliedDirectories, nastyImage } from './nasty.ts'
import { mounted } from './process.ts'
import { push } from './push.ts'
import { startWindlass } from './windlass.ts'

describe.skipIf(lacking('root', 'docker-registry', 'containerd'))('against containerd', () => {
  it('unpacks a nasty image to the same tree, but for the times of implied directories and the root', async ({ signal }) => {
    await using registry = await startDockerRegistry()
    await push({ host: registry.host, repository: 'test/nasty' }, '1', nastyImage())
    const { entries, differing } = await compare(`${registry.host}/test/nasty:1`, { signal })
    expect(entries).toBeGreaterThan(90)
    expect(differing.toSorted()).toEqual(['.', ...impliedDirectories].map((path) => `${path}: mtime`).toSorted())
  })

  it.skipIf(lacking('mmdebstrap'))(
    'unpacks a Debian root, and layers that change it in every way, to the same tree',
    { timeout: 240_000 },
    async ({ signal }) => {
      const image = await changedDebian({ signal })
      await using registry = await startDockerRegistry()
      await push({ host: registry.host, repository: 'test/debian' }, '1', image)
      const { entries, differing } = await compare(`${registry.host}/test/debian:1`, { signal })
      expect(entries).toBeGreaterThan(6_000)
      const times = ['.', ...impliedDirectories, ...impliedInDebian].map((path) => `${path}: mtime`)
      expect(differing.toSorted()).toEqual([...new Set(times)].toSorted())
    },
  )
})

/** Pulls one image with both and compares what a container would see; a difference is `path: attribute`. */
async function compare(
  reference: string,
  { signal }: Abortable,
): Promise<{ readonly entries: number; readonly differing: readonly string[] }> {
  await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-equality-'))
  using _fs = mounted(temporary.path, ['-t', 'tmpfs', '-o', 'size=80%,nr_inodes=0', 'tmpfs'])
  const at = (name: string) => join(temporary.path, name)
  await using containerd = await startContainerd(at('containerd'), { signal })
  await using windlass = await startWindlass(at('windlass'), { signal })
  const theirs = await containerd.cri.image.pullImage({ image: { image: reference } }, { signal })
  const ours = await windlass.cri.image.pullImage({ image: { image: reference } }, { signal })
  expect(ours.imageRef).toBe(theirs.imageRef)

  await using _theirMount = await containerd.mount(reference, at('theirs'), { signal })
  await using _ourMount = await windlass.mount(reference, at('ours'), { signal })
  const [ourTree, theirTree] = [await readTree(at('ours'), { signal }), await readTree(at('theirs'), { signal })]
  return {
    entries: ourTree.size,
    differing: differences(ourTree, theirTree).map((line) => line.split(': ').slice(0, 2).join(': ')),
  }
}
