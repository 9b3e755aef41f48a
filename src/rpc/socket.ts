/**
 * A unix socket that others may rely on: one daemon behind it, the mode it is meant to have from its first moment, and what a daemon
 * that died left behind cleared away.
 */
import { lstat, mkdir, stat, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { dirname } from 'node:path'
import { asWindlassError, fail, systemFailure, WindlassError } from '../failure/failure.ts'
import type { Abortable } from '../task/task.ts'
import type { Inherited } from './activation.ts'

/** sun_path holds 108 bytes with its terminating zero (unix(7)). */
const maxSocketPath = 107

/** Throws invalid-argument for a path that bind(2) would cut short or refuse. */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path)
  if (bytes > maxSocketPath) {
    const reason = `a unix socket's path has at most ${maxSocketPath} bytes, this one has ${bytes}; choose a shorter --socket`
    fail({ kind: 'invalid-argument', what: `socket path ${path}`, reason })
  }
  if (path.includes('\0')) fail({ kind: 'invalid-argument', what: 'socket path', reason: 'it holds a zero byte' })
}

/** Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn, and refuses clients beyond it with EAGAIN. */
const backlog = 4_096

/** What answers at a path. `stale` is a socket nobody listens on. */
export type Answer =
  | { readonly kind: 'alive' }
  | { readonly kind: 'absent' | 'stale' | 'not-a-socket' | 'denied' | 'refused'; readonly reason: string }

/** Connects and hangs up, to learn whether someone listens. Throws cancelled. */
export async function probe(path: string, { signal }: Abortable): Promise<Answer> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const socket = connect({ path, signal })
  socket.once('connect', () => resolve({ kind: 'alive' }))
  socket.once('error', (error: NodeJS.ErrnoException) => {
    if (signal.aborted) reject(asWindlassError(signal.reason))
    else resolve(answerOf(error.code ?? error.message))
  })
  try {
    return await promise
  } finally {
    socket.destroy()
  }
}

/** By the errno of connect(2). */
export const SAID_OF_SOCKETS = { ENOENT: 'no such socket', ECONNREFUSED: 'nobody listens on it' } as const

function answerOf(code: string): Answer {
  switch (code) {
    case 'ENOENT':
      return { kind: 'absent', reason: SAID_OF_SOCKETS.ENOENT }
    case 'ECONNREFUSED':
      return { kind: 'stale', reason: SAID_OF_SOCKETS.ECONNREFUSED }
    case 'ENOTSOCK':
      return { kind: 'not-a-socket', reason: 'not a socket' }
    case 'EACCES':
    case 'EPERM':
      return { kind: 'denied', reason: 'permission denied; be root or in the group that owns it' }
    default:
      return { kind: 'refused', reason: code }
  }
}

/**
 * Makes `server` listen on `path` with exactly `mode` (the bits of chmod). A socket left by a daemon that died is replaced; one that
 * answers, or anything that is not a socket, is left alone. A missing parent directory is made with mode 0700.
 * Throws invalid-argument, system, cancelled.
 */
export async function listenUnix(server: Server, path: string, mode: number, options: Abortable): Promise<void> {
  checkSocketPath(path)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch(sayWhere(dirname(path)))
  await clearTheWay(path, options)
  await listen(server, path, mode)
  const made = (await stat(path)).mode & 0o777
  if (made !== mode) {
    server.close()
    fail({ kind: 'internal', what: `socket ${path} came out with mode ${made.toString(8)} instead of ${mode.toString(8)}` })
  }
}

/** Makes `server` accept on a socket that listens already. */
export async function listenOn(server: Server, { fd, path }: Inherited): Promise<void> {
  const listens = listening(server, path)
  // Listening again sets the length of the queue, in which clients wait while no daemon runs.
  server.listen({ fd }, backlog)
  await listens
}

/** Resolves once it listens. Called before `listen` is, for that may fail at once. */
async function listening(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const failed = (error: NodeJS.ErrnoException) =>
    reject(new WindlassError(systemFailure('listen', error.code ?? error.message, path), error))
  server.once('error', failed)
  server.once('listening', () => {
    server.off('error', failed)
    resolve()
  })
  await promise
}

async function clearTheWay(path: string, options: Abortable): Promise<void> {
  const there = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw asWindlassError(error)
  })
  if (there === undefined) return
  const refuse = (reason: string): never => fail({ kind: 'invalid-argument', what: `socket path ${path}`, reason })
  // Not even a symlink: whoever can put one here could have us remove what it points at.
  if (!there.isSocket()) refuse('there is something there that is not a socket; remove it, or choose another --socket')
  const answer = await probe(path, options)
  if (answer.kind === 'alive') refuse('another daemon answers on it; stop that one, or choose another --socket')
  if (answer.kind === 'refused' || answer.kind === 'denied') refuse(answer.reason)
  if (answer.kind === 'stale') await unlink(path).catch(sayWhere(path))
}

/** Listens with the mode set by umask, so there is no moment in which the socket is more open than it should be. */
async function listen(server: Server, path: string, mode: number): Promise<void> {
  const listens = listening(server, path)
  // The umask belongs to the whole process. `listen` binds before it returns, so nothing else runs on this thread in between.
  const before = process.umask(0o777 & ~mode)
  try {
    server.listen({ path, backlog })
  } finally {
    process.umask(before)
  }
  await listens
}

const sayWhere = (path: string) => (error: NodeJS.ErrnoException) =>
  fail(systemFailure(error.syscall ?? 'open', error.code ?? error.message, path), error)
