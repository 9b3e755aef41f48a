/**
 * config.json of a bundle, from an image config (image-spec conversion.md). What the image does not decide is what container runtimes give
 * an unprivileged container by default: fourteen capabilities, namespaces of its own, kernel files masked, no devices but the usual.
 */
import { posix } from 'node:path'
import { fail } from '../failure/failure.ts'
import type { ImageConfig } from '../oci/oci.ts'
import type { ProcessUser } from './user.ts'

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

const CAPABILITIES = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
]

const MASKED = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
]
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

type Mount = {
  readonly destination: string
  readonly type: string
  readonly source: string
  readonly options: readonly string[]
}

const MOUNTS: readonly Mount[] = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'] },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  {
    destination: '/sys/fs/cgroup',
    type: 'cgroup',
    source: 'cgroup',
    options: ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'],
  },
]

export type RuntimeChoices = {
  readonly user: ProcessUser
  readonly args: readonly string[]
  readonly network: 'none' | 'host'
  /** Files of the host that a container on its network needs, such as /etc/resolv.conf. */
  readonly hostFiles: readonly string[]
}

export type RuntimeConfig = {
  readonly document: Readonly<Record<string, unknown>>
  readonly args: readonly string[]
  readonly warnings: readonly string[]
}

/** Throws invalid-argument where there is nothing to run. */
export function runtimeConfig(image: ImageConfig, { user, args: given, network, hostFiles }: RuntimeChoices): RuntimeConfig {
  const { run } = image
  const args = [...run.entrypoint, ...(given.length > 0 ? given : run.cmd)]
  if (args.length === 0) {
    const reason = 'the image has neither Entrypoint nor Cmd; give a command after --'
    fail({ kind: 'invalid-argument', what: 'command', reason })
  }
  const usable = run.env.filter(isVariable)
  const binds = hostFiles.map(
    (file): Mount => ({ destination: file, type: 'bind', source: file, options: ['bind', 'ro', 'nosuid', 'nodev'] }),
  )
  const document = {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user,
      args,
      env: usable.some((variable) => variable.startsWith('PATH=')) ? usable : [DEFAULT_PATH, ...usable],
      cwd: posix.resolve('/', run.workingDir ?? '/'),
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
      noNewPrivileges: true,
    },
    root: { path: 'rootfs' },
    mounts: [...MOUNTS, ...binds],
    annotations: annotationsOf(image),
    linux: {
      namespaces: ['pid', 'ipc', 'uts', 'mount', ...(network === 'none' ? ['network'] : [])].map((type) => ({ type })),
      resources: { devices: [{ allow: false, access: 'rwm' }] },
      maskedPaths: MASKED,
      readonlyPaths: READ_ONLY,
    },
  }
  return { document, args, warnings: leftOut(image) }
}

/** Annotations that runc (with systemd) and crun act upon: an image must not reach the host through its labels. */
const UNSAFE_LABEL = /^(?:run\.oci\.|org\.systemd\.property\.|org\.criu\.)/

/** Labels, and what else of the config a container has no field for; labels win (conversion.md, "Annotation Fields"). */
function annotationsOf({ platform, created, run }: ImageConfig): Readonly<Record<string, string>> {
  const said = (name: string, value: string | undefined): Record<string, string> =>
    value ? { [`org.opencontainers.image.${name}`]: value } : {}
  return {
    ...said('os', platform.os),
    ...said('architecture', platform.architecture),
    ...said('variant', platform.variant),
    ...said('os.version', platform.osVersion),
    ...said('created', created),
    ...said('stopSignal', run.stopSignal),
    ...said('exposedPorts', run.exposedPorts.join(',')),
    ...Object.fromEntries(Object.entries(run.labels).filter(([name]) => !UNSAFE_LABEL.test(name))),
  }
}

/** What of the config is left out, and why. */
function leftOut({ run }: ImageConfig): string[] {
  return [
    ...run.env
      .filter((variable) => !isVariable(variable))
      .map((variable) => `Env ${JSON.stringify(variable)} left out: not NAME=value`),
    ...Object.keys(run.labels)
      .filter((name) => UNSAFE_LABEL.test(name))
      .map((name) => `label ${JSON.stringify(name)} left out: a runtime would act upon it`),
  ]
}

const isVariable = (text: string): boolean => /^[^=]+=/.test(text)
