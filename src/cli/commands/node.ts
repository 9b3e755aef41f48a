/** `serve`, `config` and `version`: the daemon and what it runs with. */
import type { Command } from 'commander'
import { failureOf } from '../../failure/failure.ts'
import { type Options, runtimeEndpointOption, runtimeFlags, runtimeOption } from '../options.ts'
import { print } from '../output.ts'
import { type Session, warn } from '../session.ts'
import { facts } from '../text.ts'

export function addServe(program: Command, session: Session): void {
  program
    .command('serve')
    .description('run the daemon: the CRI ImageService and the control service on one unix socket')
    .addOption(runtimeOption())
    .addOption(runtimeEndpointOption())
    .addHelpText(
      'after',
      `
Defaults, where neither a flag, nor a WINDLASS_* variable, nor the file says otherwise:
  --root       /var/lib/windlass                     layers, images and the database
  --socket     /run/windlass/windlass.sock           mode 0660
  --hosts-dir  /etc/containerd/certs.d:/etc/docker/certs.d  as containerd reads them
  --config     /etc/windlass/windlass.yaml, if it is there

Whose images these are to be: --runtime, else runtime.kind of the file, else
the runtime whose socket is there (containerd, then CRI-O), else nobody's, and
they stay in the root. --root on the command line means the root, too, unless
--runtime is there as well: then it is where the daemon keeps its own. Beside
a runtime, pulls land where it looks for images, and every other call is
answered by it; windlass passthrough leaves it the pulls as well.

What says how registries are reached: beside containerd its own config_path,
or the mirrors of its configuration; beside CRI-O /etc/containers/registries.conf;
beside neither hosts.toml files, and registries.conf for registries that have
none. --hosts-dir names hosts.toml files that go before all of these.

crictl uses it with:
  S=unix:///run/windlass/windlass.sock; crictl -i $S -r $S pull debian:12
kubelet is given the socket as its image service endpoint: docs/operate.md.
It stops at SIGTERM, SIGINT and SIGHUP: pulls in flight end, their staging is
removed, images stay. With prepull.listDir, SIGHUP reads the lists anew
instead, and tries at once what waited to be tried again.

Examples:
  windlass serve
  windlass serve --config /etc/windlass/windlass.yaml
  windlass serve --root ./images --socket ./windlass.sock`,
    )
    .action(async (options: Options) => {
      const { io } = session
      await session.serve(runtimeFlags(options), (socket) => {
        if (io.stderr.isTTY === true) io.stderr.write(`windlass: ready; try: windlass --socket ${socket} pull debian:12\n`)
      })
    })
}

export function addConfig(program: Command, session: Session): void {
  program
    .command('config')
    .description('print the configuration in force, as a file that says the same')
    .addHelpText(
      'after',
      `
A flag wins over its WINDLASS_* variable, that over the file (--config, WINDLASS_CONFIG), that over the default. Variables:
  WINDLASS_ROOT  WINDLASS_SOCKET  WINDLASS_SOCKET_MODE  WINDLASS_HOSTS_DIR  WINDLASS_PROGRESS_TIMEOUT
  WINDLASS_REGISTRIES_CONF
  WINDLASS_MAX_PARALLEL_IMAGE_PULLS  WINDLASS_UNPACK_WORKERS  WINDLASS_MAX_UNPACKED_SIZE
  WINDLASS_MAX_LAYER_ENTRIES  WINDLASS_MAX_COMPRESSION_RATIO  WINDLASS_MAX_LAYER_METADATA
  WINDLASS_RUNTIME  WINDLASS_RUNTIME_ENDPOINT  WINDLASS_FAILURE_POLICY  WINDLASS_METRICS_ADDRESS
  WINDLASS_LOG_FORMAT  WINDLASS_LOG_LEVEL

Examples:
  windlass config
  windlass config --config ./windlass.yaml     # checks the file: line and field of all that is wrong
  windlass -o json config`,
    )
    .action(async () => {
      const { io } = session
      const { inForce, document } = await session.config()
      for (const warning of inForce.warnings) warn(io, warning)
      await print(io, session.format() === 'json' ? 'json' : 'yaml', document, () => '')
    })
}

export function addVersion(program: Command, session: Session): void {
  program
    .command('version')
    .description("print this program's version, and the daemon's where one answers")
    .action(async () => {
      const { io, signal } = session
      const own = { version: session.version, node: process.version }
      const answer = await daemonInfo(session, signal)
      await print(io, session.format(), { ...own, ...answer }, () =>
        facts([
          ['windlass', `${own.version} (Node ${own.node})`],
          ['daemon', 'daemon' in answer ? daemonForPeople(answer.daemon) : answer.noDaemon],
        ]),
      )
    })
}

/** `runtime` is whose images it pulls. */
type DaemonInfo = {
  readonly version: string
  readonly pid: number
  readonly root: string
  readonly runtime?: { readonly kind: string; readonly version: string; readonly socket: string }
}

function daemonForPeople({ version, pid, root, runtime }: DaemonInfo): string {
  const beside = runtime === undefined ? '' : `, beside ${`${runtime.kind} ${runtime.version}`.trim()} at ${runtime.socket}`
  return `${version} (pid ${pid}, root ${root}${beside})`
}

/** The daemon's own account, or why there is none, which for this command is an answer too. */
async function daemonInfo(
  session: Session,
  signal: AbortSignal,
): Promise<{ readonly daemon: DaemonInfo } | { readonly noDaemon: string }> {
  if (session.ownRoot()) return { noDaemon: 'not asked: a root of your own needs none' }
  try {
    await using backend = await session.daemon()
    const info = await backend.daemon({ signal })
    if (info === undefined) return { noDaemon: 'not asked' }
    const { version, pid, root, runtime } = info
    const beside = runtime && { kind: runtime.kind, version: runtime.version, socket: runtime.socket }
    return { daemon: { version, pid, root, ...(beside === undefined ? {} : { runtime: beside }) } }
  } catch (error) {
    const failure = failureOf(error)
    if (failure.kind === 'socket-denied') return { noDaemon: `not asked: this user may not open ${failure.socket}` }
    if (failure.kind === 'no-daemon') return { noDaemon: `none answers on ${failure.socket}: ${failure.reason}` }
    throw error
  }
}
