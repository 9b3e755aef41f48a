/** The units as they are in deploy/, under a real systemd: whether a pull can do its work in the sandbox they describe. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { processorHere } from '../../scripts/release/components.ts'
import { copyModules, layOut } from '../../scripts/release/tree.ts'
import { connect } from '../../src/rpc/client.ts'
import { probe } from '../../src/rpc/socket.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { buildImage, buildLayer, publish } from '../support/image.ts'
import { callerOf } from './caller.ts'
import { here, shellImage } from './images.ts'
import { lacking } from './lacking.ts'
import { eventually } from './node.ts'
import { bootSystemd, type Machine, unifiedCgroups } from './systemd.ts'

const top = join(import.meta.dirname, '..', '..')
const deployed = (path: string): string => readFileSync(join(top, 'deploy', path), 'utf8')
const SOCKET = '/run/windlass/windlass.sock'

const containerdService = `[Service]
ExecStart=/usr/bin/containerd
Type=notify
`
const containerdConfig = `version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
`
/** Stands for kubelet, with kubeadm's drop-in: what it is started with is all that is asked of it. */
const kubeletService = `[Service]
ExecStart=/bin/sleep infinity
`
const kubeadm = `[Service]
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/bin/sh -c 'echo "$KUBELET_EXTRA_ARGS" > /run/kubelet-args; exec sleep infinity'
`

const files = {
  'windlass.service': deployed('systemd/windlass.service'),
  'windlass.socket': deployed('systemd/windlass.socket'),
  // A test machine may lack the right to lower it.
  'windlass.service.d/test.conf': '[Service]\nOOMScoreAdjust=0\nStandardError=append:/run/windlass.log\n',
  'containerd.service': containerdService,
  'kubelet.service': kubeletService,
  'kubelet.service.d/10-kubeadm.conf': kubeadm,
  'kubelet.service.d/10-windlass.conf': deployed('kubelet/10-windlass.conf'),
  'etc/containerd/config.toml': containerdConfig,
  'etc/default/kubelet': 'KUBELET_EXTRA_ARGS=\n',
  'etc/windlass/windlass.yaml': deployed('containerd/windlass.yaml').replace('127.0.0.1:9477', '127.0.0.1:0'),
  'etc/windlass/kubelet.env': deployed('kubelet/kubelet.env'),
}

const property = async (machine: Machine, name: string, signal: AbortSignal): Promise<string> =>
  (await machine.run(['systemctl', 'show', '--value', '--property', name, 'windlass.service'], { signal })).trim()

describe.skipIf(
  lacking('root', '/lib/systemd/systemd', 'unshare', 'nsenter', 'containerd', 'busybox') || unifiedCgroups() === undefined,
)('the units of deploy/', () => {
  it('pull into containerd from inside their sandbox, and hold the socket through kills', { timeout: 120_000 }, async ({
    signal,
  }) => {
    await using registry = await startRegistry()
    publish(registry, 'test/shell', '1', shellImage())
    const reference = `${registry.host}/test/shell:1`
    const disk = { name: 'disk', type: 'block', devMajor: 7, devMinor: 0 } as const
    publish(registry, 'test/devices', '1', buildImage({ platform: here, layers: [buildLayer({ tar: [disk] })] }))
    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-systemd-'))
    const release = join(dir.path, 'release')
    layOut(release, { version: '0.0.0', processor: processorHere, seconds: 1 }, copyModules)
    await using machine = await bootSystemd(
      dir.path,
      release,
      files,
      ['containerd', 'windlass', 'kubelet'].map((name) => `${name}.service`),
      {
        signal,
      },
    )
    const log = (): string => readFileSync(machine.at('/run/windlass.log'), 'utf8')
    const socket = machine.at(SOCKET)
    try {
      expect(await property(machine, 'ActiveState', signal)).toBe('active')
      expect(await property(machine, 'StatusText', signal)).toBe(`answering on ${SOCKET}`)
      expect((statSync(socket).mode & 0o777).toString(8)).toBe('660')
      expect((statSync(machine.at('/run/windlass')).mode & 0o777).toString(8)).toBe('700')
      expect(readFileSync(machine.at('/run/kubelet-args'), 'utf8')).toContain(`--image-service-endpoint=unix://${SOCKET}`)

      await eventually(async () => log().includes('pulls land in the runtime'), { signal })
      using cri = await connect(socket, { signal })
      const id = (await cri.image.pullImage({ image: { image: reference } }, { signal })).imageRef
      expect(log()).not.toContain('handed to the runtime')
      // Nothing was refused that extractors give up, and the socket's variables are known.
      expect(log()).not.toContain('more rights than they need')
      expect(log()).not.toContain('"level":"warn"')
      expect((await cri.image.imageStatus({ image: { image: id } }, { signal })).image?.id).toBe(id)
      expect(existsSync(machine.at('/var/lib/windlass'))).toBe(true)

      // Device nodes of layers are made, and what is in the service's group cannot open them.
      const devices = `${registry.host}/test/devices:1`
      await cri.image.pullImage({ image: { image: devices } }, { signal })
      expect(log()).not.toContain('handed to the runtime')
      const inGroup = 'echo $$ > /sys/fs/cgroup/system.slice/windlass.service/cgroup.procs; mknod /run/loop b 7 0 &&'
      const opened = await machine.run(['sh', '-c', `${inGroup} head -c 1 /run/loop 2>&1 || :`], { signal })
      expect(opened).toContain('Operation not permitted')

      const doctor = await machine.run(
        ['/opt/windlass/bin/node', '/opt/windlass/lib/main.js', '--config', '/etc/windlass/windlass.yaml', 'doctor'],
        { signal },
      )
      expect(doctor).toMatch(/^ok +socket +windlass \S+ answers on /m)
      expect(doctor).not.toMatch(/^FAIL/m)

      const caller = callerOf(socket, { signal })
      for (let round = 0; round < 3; round++) {
        const pid = await property(machine, 'MainPID', signal)
        await machine.run(round === 2 ? ['systemctl', 'restart', 'windlass.service'] : ['kill', '-KILL', pid], { signal })
        expect(await probe(socket, { signal })).toEqual({ kind: 'alive' })
        const { image } = await caller.call((each) => each.image.imageStatus({ image: { image: id } }, { signal }))
        expect(image?.id).toBe(id)
        expect(await property(machine, 'MainPID', signal)).not.toBe(pid)
      }
    } catch (error) {
      throw new Error(
        `${machine.systemd.output().slice(-3000)}\n${existsSync(machine.at('/run/windlass.log')) ? log().slice(-6000) : 'no log'}`,
        {
          cause: error,
        },
      )
    }
  })
})
