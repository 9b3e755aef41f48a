import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Share, shareOfMachine } from '../../src/sys/cgroup.ts'

const MIB = 2 ** 20

/** What a process would be told that finds these files. */
function shareWith(files: Readonly<Record<string, string>>): Share {
  using top = mkdtempDisposableSync(join(tmpdir(), 'windlass-cgroup-'))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(top.path, name)), { recursive: true })
    writeFileSync(join(top.path, name), `${text}\n`)
  }
  return shareOfMachine(top.path)
}

const v2 = (root = '/'): string => `30 23 0:26 ${root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw`
const v1 = (controllers: string, root = '/'): string =>
  `3${controllers.length} 23 0:3 ${root} /sys/fs/cgroup/${controllers} rw - cgroup cgroup rw,${controllers}`

describe('what of the machine a process may use', () => {
  it('is all of it without limits', () => {
    expect(shareWith({})).toEqual({ cpus: availableParallelism(), memory: totalmem() })
  })

  it('is what cgroup v2 says, the tightest of all groups up to the top', () => {
    const share = shareWith({
      'proc/self/mountinfo': v2(),
      'proc/self/cgroup': '0::/kubepods/windlass',
      'sys/fs/cgroup/kubepods/cpu.max': '50000 100000',
      'sys/fs/cgroup/kubepods/memory.max': 'max',
      'sys/fs/cgroup/kubepods/windlass/cpu.max': 'max 100000',
      'sys/fs/cgroup/kubepods/windlass/memory.max': String(384 * MIB),
    })
    expect(share).toEqual({ cpus: 0.5, memory: 384 * MIB })
  })

  it('is what cgroup v1 says where the controllers are there', () => {
    const share = shareWith({
      'proc/self/mountinfo': [v1('cpu,cpuacct'), v1('memory'), v2().replace('/sys/fs/cgroup', '/sys/fs/cgroup/unified')].join(
        '\n',
      ),
      'proc/self/cgroup': '4:memory:/small\n3:cpu,cpuacct:/small\n0::/',
      'sys/fs/cgroup/cpu,cpuacct/small/cpu.cfs_quota_us': '25000',
      'sys/fs/cgroup/cpu,cpuacct/small/cpu.cfs_period_us': '100000',
      'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '-1',
      'sys/fs/cgroup/memory/small/memory.limit_in_bytes': String(256 * MIB),
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
    })
    expect(share).toEqual({ cpus: 0.25, memory: 256 * MIB })
  })

  it('is that of a container, which sees its group as the top', () => {
    const files = { 'sys/fs/cgroup/memory.max': String(64 * MIB) }
    const own = { 'proc/self/mountinfo': v2('/../..'), 'proc/self/cgroup': '0::/', ...files }
    expect(shareWith(own).memory).toBe(64 * MIB)
    const named = { 'proc/self/mountinfo': v2('/docker/abc'), 'proc/self/cgroup': '0::/docker/abc', ...files }
    expect(shareWith(named).memory).toBe(64 * MIB)
  })
})
