/** Where layers are staged stays for as long as its daemon does, however long that is. */
import { existsSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Daemon } from '../../../src/store/containerd/daemon.ts'
import { Leases } from '../../../src/store/containerd/leases.ts'
import { SNAPSHOTTER } from '../../../src/store/containerd/names.ts'
import { Staging } from '../../../src/store/containerd/staging.ts'
import { startContainerd } from '../../integration/containerd.ts'
import { lacking } from '../../integration/lacking.ts'
import { eventually } from '../../integration/node.ts'
import { recordingLog } from '../local/place.ts'

/** containerd counts in seconds. */
const LIFETIME_MS = 4_000

describe.skipIf(lacking('root', 'containerd'))('the lease of the staging area', () => {
  test('is taken anew before it ends, also after containerd was away; what nobody renews goes', async ({ signal }) => {
    await using temporary = await mkdtempDisposable(join(tmpdir(), 'windlass-staging-'))
    await using containerd = await startContainerd(temporary.path, { signal })
    using daemon = new Daemon(containerd.socket)
    const log = recordingLog()
    const leases = new Leases(daemon, 'a'.repeat(32), log, LIFETIME_MS)
    await using staging = await Staging.open(daemon, leases, log)
    const staged = await staging.make()
    const control = await leases.create()
    await daemon.call(
      'prepare a snapshot',
      ({ snapshots }, options) => snapshots.prepare({ snapshotter: SNAPSHOTTER, key: 'control', parent: '' }, options),
      control.id,
    )
    const first = staging.lease
    await eventually(async () => staging.lease !== first, { signal })
    await containerd.crash({ signal })
    const collected = async (): Promise<string> => {
      await containerd.ctr(['leases', 'create', '--id', 'now'], { signal })
      await containerd.ctr(['leases', 'rm', '--sync', 'now'], { signal })
      return await containerd.ctr(['snapshots', '--snapshotter', SNAPSHOTTER, 'ls'], { signal })
    }
    // The first lease ended before this one.
    await eventually(async () => !(await collected()).includes('control'), { signal })
    expect(await collected()).toContain('windlass-staging-')
    expect(existsSync(staged)).toBe(true)
    // One at a time.
    const held = await daemon.call('list leases', (c, options) => c.leases.list({ filters: [] }, options))
    expect(held.leases.map(({ id }) => id).filter((id) => id !== control.id)).toEqual([staging.lease])
  })
})
