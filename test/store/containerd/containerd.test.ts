import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { openContainerdStore } from '../../../src/store/containerd/containerd.ts'
import { Daemon } from '../../../src/store/containerd/daemon.ts'
import { type Containerd, startContainerd } from '../../integration/containerd.ts'
import { lacking } from '../../integration/lacking.ts'
import { storeContract } from '../contract.ts'
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

  storeContract('the store in containerd', async () => {
    const root = await mkdtemp(join(dir, 'windlass-'))
    return {
      open: () =>
        openContainerdStore(
          { root, socket: containerd.socket, platform: { os: 'linux', architecture: 'amd64' }, log: recordingLog() },
          { signal },
        ),
      settle: collectNow,
      destroy: removeAll,
    }
  })
})
