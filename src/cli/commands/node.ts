/** `serve`, `config` and `version`: the daemon and what it runs with. */
import type { Command } from 'commander'
import { print } from '../output.ts'
import { type Session, warn } from '../session.ts'
import { facts } from '../text.ts'

export function addServe(program: Command, session: Session): void {
  program
    .command('serve')
    .description('run the daemon: the CRI ImageService and the control service on one unix socket')
    .addHelpText(
      'after',
      `
Defaults, where neither a flag, nor a WINDLASS_* variable, nor the file says otherwise:
  --root       /var/lib/windlass                     layers, images and the database
  --socket     /run/windlass/windlass.sock           mode 0660
  --hosts-dir  /etc/containerd/certs.d               hosts.toml files, as containerd reads them
  --config     none; windlass config prints a whole file to start from

kubelet uses it with:  --image-service-endpoint=unix:///run/windlass/windlass.sock
It stops at SIGTERM and SIGINT: pulls in flight end, their staging is removed, images stay.

Examples:
  windlass serve
  windlass serve --config /etc/windlass/windlass.yaml
  windlass serve --root ./images --socket ./windlass.sock`,
    )
    .action(async () => {
      const { io } = session
      await session.serve((socket) => {
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
  WINDLASS_MAX_PARALLEL_IMAGE_PULLS  WINDLASS_UNPACK_WORKERS  WINDLASS_MAX_UNPACKED_SIZE
  WINDLASS_MAX_LAYER_ENTRIES  WINDLASS_MAX_COMPRESSION_RATIO  WINDLASS_LOG_FORMAT  WINDLASS_LOG_LEVEL

Examples:
  windlass config
  windlass config --config ./windlass.yaml     # checks the file: line and field of what is wrong
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
      const daemon = await daemonInfo(session, signal)
      await print(io, session.format(), { ...own, ...(daemon === undefined ? {} : { daemon }) }, () =>
        facts([
          ['windlass', `${own.version} (Node ${own.node})`],
          ['daemon', daemon === undefined ? 'none answers' : `${daemon.version} (pid ${daemon.pid}, root ${daemon.root})`],
        ]),
      )
    })
}

/** The daemon's own account; undefined where there is none to ask, which for this command is an answer. */
async function daemonInfo(session: Session, signal: AbortSignal) {
  const { kindOf } = await import('../failures.ts')
  try {
    await using backend = await session.daemon()
    const info = await backend.daemon({ signal })
    return info === undefined ? undefined : { version: info.version, pid: info.pid, root: info.root }
  } catch (error) {
    if (kindOf(error) === 'no-daemon') return undefined
    throw error
  }
}
