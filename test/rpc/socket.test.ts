import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { failureOf } from '../../src/failure/failure.ts'
import { connect } from '../../src/rpc/client.ts'
import { listenUnix, probe } from '../../src/rpc/socket.ts'
import { unbounded } from './daemon.ts'

const signal = unbounded
const temp = () => mkdtempDisposable(join(tmpdir(), 'windlass-socket-'))
const failure = (promise: Promise<unknown>) => promise.then(() => 'no failure' as const, failureOf)

/** A listener that is closed at the end of its scope. */
const listener = () => {
  const server = createServer((socket) => socket.end())
  return { server, [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())) }
}

/** What a daemon leaves that died without a chance to clean up. */
function leaveStaleSocket(path: string) {
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', script])
  expect(statSync(path).isSocket()).toBe(true)
}

it('makes the parent 0700 and the socket as its mode says, whatever the umask', async () => {
  await using dir = await temp()
  await using l = listener()
  const path = join(dir.path, 'run/windlass/windlass.sock')
  const before = process.umask(0o022)
  try {
    await listenUnix(l.server, path, 0o660, { signal })
    expect(process.umask()).toBe(0o022)
  } finally {
    process.umask(before)
  }
  expect((statSync(path).mode & 0o777).toString(8)).toBe('660')
  expect((statSync(join(dir.path, 'run/windlass')).mode & 0o777).toString(8)).toBe('700')
  expect(await probe(path, { signal })).toEqual({ kind: 'alive' })
})

it('leaves the mode of a parent that is there alone', async () => {
  await using dir = await temp()
  await using l = listener()
  mkdirSync(join(dir.path, 'open'), { mode: 0o755 })
  await listenUnix(l.server, join(dir.path, 'open/s.sock'), 0o600, { signal })
  expect((statSync(join(dir.path, 'open')).mode & 0o777).toString(8)).toBe('755')
  expect((statSync(join(dir.path, 'open/s.sock')).mode & 0o777).toString(8)).toBe('600')
})

it('takes over the socket of a daemon that died', async () => {
  await using dir = await temp()
  await using l = listener()
  const path = join(dir.path, 's.sock')
  leaveStaleSocket(path)
  expect(await probe(path, { signal })).toMatchObject({ kind: 'stale' })
  await listenUnix(l.server, path, 0o660, { signal })
  expect(await probe(path, { signal })).toEqual({ kind: 'alive' })
})

it('refuses a socket that answers, and leaves it answering', async () => {
  await using dir = await temp()
  await using first = listener()
  await using second = listener()
  const path = join(dir.path, 's.sock')
  await listenUnix(first.server, path, 0o660, { signal })
  expect(await failure(listenUnix(second.server, path, 0o660, { signal }))).toMatchObject({
    kind: 'invalid-argument',
    reason: expect.stringContaining('another daemon answers'),
  })
  expect(await probe(path, { signal })).toEqual({ kind: 'alive' })
})

it('refuses what is not a socket, and a symlink to one', async () => {
  await using dir = await temp()
  await using l = listener()
  const file = join(dir.path, 'precious')
  writeFileSync(file, 'keep me')
  const refusal = { kind: 'invalid-argument', reason: expect.stringContaining('not a socket') }
  expect(await failure(listenUnix(l.server, file, 0o660, { signal }))).toMatchObject(refusal)
  expect(readFileSync(file, 'utf8')).toBe('keep me')

  const stale = join(dir.path, 'stale.sock')
  leaveStaleSocket(stale)
  const link = join(dir.path, 'link.sock')
  symlinkSync(stale, link)
  expect(await failure(listenUnix(l.server, link, 0o660, { signal }))).toMatchObject(refusal)
  expect(existsSync(stale)).toBe(true)
})

it('says that a path is too long for a socket, and by how much', async () => {
  await using dir = await temp()
  await using l = listener()
  const path = join(dir.path, 'x'.repeat(120))
  const refusal = { kind: 'invalid-argument', reason: expect.stringContaining(`has ${path.length}`) }
  expect(await failure(listenUnix(l.server, path, 0o660, { signal }))).toMatchObject(refusal)
  expect(await failure(connect(path, { signal }))).toMatchObject(refusal)

  await using ok = listener()
  const longest = join(dir.path, 'y'.repeat(107 - dir.path.length - 1))
  await listenUnix(ok.server, longest, 0o660, { signal })
  expect(await probe(longest, { signal })).toEqual({ kind: 'alive' })
})

it('says what hinders a listener', async () => {
  await using dir = await temp()
  await using l = listener()
  writeFileSync(join(dir.path, 'file'), '')
  expect(await failure(listenUnix(l.server, join(dir.path, 'file/s.sock'), 0o660, { signal }))).toMatchObject({
    kind: 'system',
    code: expect.stringMatching(/^(ENOTDIR|EEXIST)$/),
  })
})

it('tells a client why no daemon answers', async () => {
  await using dir = await temp()
  const absent = join(dir.path, 'absent.sock')
  expect(await failure(connect(absent, { signal }))).toEqual({ kind: 'no-daemon', socket: absent, reason: 'no such socket' })
  const stale = join(dir.path, 'stale.sock')
  leaveStaleSocket(stale)
  expect(await failure(connect(stale, { signal }))).toMatchObject({ kind: 'no-daemon', reason: 'nobody listens on it' })
  expect(await failure(connect(stale, { signal: AbortSignal.abort() }))).toMatchObject({ kind: 'cancelled' })
})

it.skipIf(process.getuid?.() !== 0)('whoever may not open it is told that, and not to start a daemon', async () => {
  await using dir = await temp()
  await using l = listener()
  const path = join(dir.path, 'run/windlass.sock')
  await listenUnix(l.server, path, 0o660, { signal })
  const main = join(import.meta.dirname, '../../src/main.ts')
  const asNobody = { uid: 65_534, gid: 65_534, cwd: '/', env: {}, encoding: 'utf8' } as const
  const images = spawnSync(process.execPath, [main, '--socket', path, 'images'], asNobody)
  expect(images).toMatchObject({ status: 1, stderr: expect.stringContaining(`this user may not open ${path}`) })
  expect(images.stderr).not.toContain('windlass serve')
  const doctor = spawnSync(process.execPath, [main, '--socket', path, 'doctor'], asNobody)
  expect(doctor.stdout).toMatch(/^FAIL +socket +this user may not open /m)
})
