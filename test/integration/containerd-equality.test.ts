/** The merged tree of an image is the same, entry by entry, whether Windlass or containerd has unpacked it. */
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { startDockerRegistry } from '../registry/docker-registry.ts'
import { startContainerd } from './containerd.ts'
import { lacking } from './lacking.ts'
import { impliedDirectories, nastyImage } from './nasty.ts'
import { mounted } from './process.ts'
import { push } from './push.ts'
import { differences, readTree } from './tree.ts'
import { startWindlass } from './windlass.ts'

describe.skipIf(lacking('root', 'docker-registry', 'containerd'))('against containerd', () => {
  it('unpacks a nasty image to the same tree, but for the times of implied directories and the root', async ({ signal }) => {
    await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-equality-'))
    using _fs = mounted(temporary.path, ['-t', 'tmpfs', 'tmpfs'])
    const at = (name: string) => join(temporary.path, name)
    await using registry = await startDockerRegistry()
    await push({ host: registry.host, repository: 'test/nasty' }, '1', nastyImage())
    const reference = `${registry.host}/test/nasty:1`

    await using containerd = await startContainerd(at('containerd'), { signal })
    await using windlass = await startWindlass(at('windlass'), { signal })
    const theirs = await containerd.cri.image.pullImage({ image: { image: reference } }, { signal })
    const ours = await windlass.cri.image.pullImage({ image: { image: reference } }, { signal })
    expect(ours.imageRef).toBe(theirs.imageRef)

    await using _theirMount = await containerd.mount(reference, at('theirs'), { signal })
    await using _ourMount = await windlass.mount(reference, at('ours'), { signal })
    const [ourTree, theirTree] = [readTree(at('ours')), readTree(at('theirs'))]
    expect(ourTree.size).toBeGreaterThan(90)

    const expected = ['.', ...impliedDirectories].map((path) => `${path}: mtime`).toSorted()
    expect(differences(ourTree, theirTree).map(withoutValues).toSorted()).toEqual(expected)
  })
})

/** `path: attribute` of a difference. */
const withoutValues = (difference: string): string => difference.split(': ').slice(0, 2).join(': ')
