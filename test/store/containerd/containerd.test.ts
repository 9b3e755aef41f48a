import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sha256 } from '../../../src/oci/digest.ts'
import { mediaTypes } from '../../../src/oci/oci.ts'
import { openContainerdStore } from '../../../src/store/containerd/containerd.ts'
import { Daemon } from '../../../src/store/containerd/daemon.ts'
import { type Containerd, startContainerd } from '../../integration/containerd.ts'
import { lacking } from '../../integration/lacking.ts'
import { storeContract } from '../contract.ts'
import { imageOver, pullByHand } from '../fixtures.ts'
import { recordingLog } from '../local/place.ts'

const { signal } = new AbortController()

describe.skipIf(lacking('root', 'containerd'))('with Debian’s containerd', () => {
  let dir: string
  let containerd: Containerd
  let daemon: Daemon

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'windlass-containerd-'))
    containerd = await startContainerd(dir, { signal })
    daemon = new Daemon(containerd.socket)
  })
  afterAll(async () => {
    daemon[Symbol.dispose]()
    await containerd[Symbol.asyncDispose]()
    await rm(dir, { recursive: true, force: true })
  })

  /** A lease deleted so waits for a whole collection. */
  const collectNow = async (): Promise<void> => {
    const { lease } = await daemon.call('create a lease', (c, options) => c.leases.create({ id: 'collect-now' }, options))
    await daemon.call('collect', (c, options) => c.leases.delete({ id: lease?.id ?? '', sync: true }, options))
  }
  const removeAll = async (): Promise<void> => {
    const { images } = await daemon.call('list images', (c, options) => c.images.list({}, options))
    for (const { name } of images)
      await daemon.callUnless('NOT_FOUND', 'delete an image', (c, options) => c.images.delete({ name, sync: false }, options))
    await collectNow()
  }

  const openAt = (root: string) =>
    openContainerdStore(
      { root, socket: containerd.socket, platform: { os: 'linux', architecture: 'amd64' }, log: recordingLog() },
      { signal },
    )

  test('untagging takes one name of an image that others reach by an index', async () => {
    const root = await mkdtemp(join(dir, 'windlass-'))
    const [alone, listed] = ['registry.test/app:1', 'registry.test/app:2']
    const image = imageOver(['base'], { tag: alone })
    const platform = { os: 'linux', architecture: 'amd64' }
    const indexBytes = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [{ ...image.manifest, platform }] }),
    )
    {
      await using store = await openAt(root)
      await pullByHand(store, ['base'], { tag: alone })
      await store.publish({ ...image, tag: listed, digest: `registry.test/app@${sha256(indexBytes)}`, indexBytes }, { signal })
    }
    // It has to find out again what leads to the image.
    await using store = await openAt(root)
    expect((await store.find(alone))?.tags).toEqual([alone, listed])
    expect(await store.untag(alone)).toBe(true)
    expect((await store.find(listed))?.tags).toEqual([listed])
    await removeAll()
  })

  test('an image that must stay is marked, whoever pulled it', async () => {
    const root = await mkdtemp(join(dir, 'windlass-'))
    const tag = 'registry.test/pause:1'
    {
      await using store = await openAt(root)
      await pullByHand(store, ['base'], { tag })
      expect((await store.find(tag))?.pins).toEqual([])
    }
    const platform = { os: 'linux', architecture: 'amd64' }
    const options = { root, socket: containerd.socket, platform, log: recordingLog(), pinned: tag }
    await using store = await openContainerdStore(options, { signal })
    expect((await store.find(tag))?.pins).toMatchObject([{ owner: 'containerd' }])
    await removeAll()
  })

  test('it is not opened on a directory that another program fills, and leaves nothing in it', async () => {
    const root = await mkdtemp(join(dir, 'foreign-'))
    await writeFile(join(root, 'theirs'), '')
    await expect(openAt(root)).rejects.toMatchObject({ failure: { kind: 'invalid-argument', what: `root ${root}` } })
    expect(await readdir(root)).toEqual(['theirs'])
  })

  test('it is not opened for one who gives up', async () => {
    const gone = AbortSignal.abort(new Error('gone'))
    const options = {
      root: dir,
      socket: containerd.socket,
      platform: { os: 'linux', architecture: 'amd64' },
      log: recordingLog(),
    }
    await expect(openContainerdStore(options, { signal: gone })).rejects.toThrow()
  })

  storeContract('the store in containerd', async () => {
    const root = await mkdtemp(join(dir, 'windlass-'))
    return {
      open: () => openAt(root),
      settle: collectNow,
      destroy: removeAll,
    }
  })
})
