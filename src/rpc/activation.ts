/**
 * A listening socket handed over by the service manager (sd_listen_fds(3)): it is there before us and stays when we go, so that a client
 * who comes while the daemon is restarted waits instead of failing.
 */
import { fstatSync, readFileSync } from 'node:fs'
import { fail } from '../failure/failure.ts'

/** SD_LISTEN_FDS_START. */
const FIRST_FD = 3

export type Environment = Record<string, string | undefined>
/** `path` is what the socket is bound to, as far as the kernel tells. */
export type Inherited = { readonly fd: number; readonly path: string }

/**
 * The socket meant for this process; undefined where none is. `env` loses the variables: what we start must not take it for theirs.
 * Throws invalid-argument for anything but one listening unix socket.
 */
export function inheritedSocket(env: Environment): Inherited | undefined {
  const { LISTEN_PID, LISTEN_FDS } = env
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID']) delete env[name]
  if (LISTEN_PID !== String(process.pid) || LISTEN_FDS === undefined) return undefined
  const refuse = (reason: string): never => fail({ kind: 'invalid-argument', what: 'sockets of the service manager', reason })
  if (LISTEN_FDS !== '1') refuse(`LISTEN_FDS is ${LISTEN_FDS}; exactly one ListenStream= is wanted`)
  if (!isSocket(FIRST_FD)) refuse(`descriptor ${FIRST_FD} is no socket`)
  const path = listeningPath(fstatSync(FIRST_FD).ino) ?? refuse(`descriptor ${FIRST_FD} is no unix stream socket that listens`)
  return { fd: FIRST_FD, path }
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket()
  } catch {
    return false
  }
}

/** SO_ACCEPTCON and SOCK_STREAM, as /proc/net/unix has them: `num refcount protocol flags type st inode path`. */
const LISTENING = '00010000'
const STREAM = '0001'

function listeningPath(inode: number): string | undefined {
  for (const line of readFileSync('/proc/net/unix', 'utf8').split('\n')) {
    const [, , , flags, type, , number, ...path] = line.trim().split(/\s+/)
    if (number === String(inode)) return flags === LISTENING && type === STREAM ? path.join(' ') : undefined
  }
  return undefined
}
