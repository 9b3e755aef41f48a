/** A socket that somebody else holds: the service manager's part is played by systemd's own tool, and by a double that starts us again. */
import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { inheritedSocket } from '../../src/rpc/activation.ts'
import { connect } from '../../src/rpc/client.ts'
import { type Answer, probe } from '../../src/rpc/socket.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { extractorsOf } from '../support/children.ts'
import { buildImage, buildLayer, publish } from '../support/image.ts'
import { receiveAt } from '../sys/datagrams.ts'
import { callerOf } from './caller.ts'
import { here } from './images.ts'
import { lacking } from './lacking.ts'
import { eventually } from './node.ts'
import { type Daemon, start } from './process.ts'
import { main } from './windlass.ts'

const temp = () => mkdtempDisposable(join(tmpdir(), 'windlass-activation-'))
const serve = (dir: string): readonly string[] => [process.execPath, main, 'serve', '--root', join(dir, 'root')]
const sample = buildImage({ platform: here, layers: [buildLayer({ tar: [{ name: 'file', content: 'sample' }] })] })

const started = (supervisor: Daemon): readonly number[] =>
  [...supervisor.output().matchAll(/^started (\d+)$/gm)].map(([, pid]) => Number(pid))
/** The daemon that runs now, or will in a moment. */
const living = (supervisor: Daemon): number => started(supervisor).at(-1) ?? 0
const isReady = (supervisor: Daemon, pid: number): boolean =>
  new RegExp(`"pid":${pid}\\b.*"msg":"ready"`).test(supervisor.output())

type Counts = Partial<Record<Answer['kind'], number>>

/** Connects all the time, every few milliseconds, and counts what comes of it. */
function probing(path: string): AsyncDisposable & { end(): Promise<Counts> } {
  const counts: Counts = {}
  const over = new AbortController()
  const going = (async () => {
    while (!over.signal.aborted) {
      const { kind } = await probe(path, { signal: new AbortController().signal })
      counts[kind] = (counts[kind] ?? 0) + 1
      await delay(10)
    }
  })()
  const end = async (): Promise<Counts> => {
    over.abort()
    await going
    return counts
  }
  return { end, [Symbol.asyncDispose]: async () => void (await end()) }
}

describe('the socket of a service manager', () => {
  it('is not ours where another process was meant, and children do not learn of it', () => {
    const env = { LISTEN_PID: '1', LISTEN_FDS: '1', LISTEN_FDNAMES: 'windlass.socket', HOME: '/root' }
    expect(inheritedSocket(env)).toBeUndefined()
    expect(env).toEqual({ HOME: '/root' })
    expect(inheritedSocket({ LISTEN_FDS: '1' })).toBeUndefined()
  })

  it.each([
    ['two sockets', '2', '3</dev/null', 'LISTEN_FDS is 2; exactly one'],
    ['a file', '1', '3</dev/null', 'descriptor 3 is no socket'],
    ['nothing', '1', '3<&-', 'descriptor 3 is no'],
  ])('%s instead: a failure that says so', async (_, fds, redirection, reason) => {
    await using dir = await temp()
    const script = `export LISTEN_PID=$$ LISTEN_FDS=${fds}; exec "$@" ${redirection}`
    await using daemon = start('sh', ['-c', script, 'sh', ...serve(dir.path), '--socket', join(dir.path, 's.sock')])
    await expect(daemon.line(/"msg":"ready"/, { signal: AbortSignal.timeout(20_000) })).rejects.toThrow(reason)
  })
})

describe.skipIf(lacking('systemd-socket-activate'))('started by systemd-socket-activate', () => {
  it('answers on the socket it is handed, says when it is ready, and leaves the socket to its owner', async ({ signal }) => {
    await using dir = await temp()
    const at = (name: string): string => join(dir.path, name)
    const [path, own, manager] = [at('held.sock'), at('own.sock'), at('notify')]
    using notified = receiveAt(`${manager}\0`)
    await using daemon = start('systemd-socket-activate', [
      `--listen=${path}`,
      '--setenv=NODE_COMPILE_CACHE',
      `--setenv=NOTIFY_SOCKET=${manager}`,
      ...serve(dir.path),
      '--socket',
      own,
    ])
    // It starts the daemon for the first connection.
    await daemon.line(/Listening on/, { signal })
    expect(await probe(path, { signal })).toEqual({ kind: 'alive' })
    await daemon.line(new RegExp(`"socket":"${path}".*"msg":"ready"`), { signal })
    expect(notified.next()).toBe(`READY=1\nSTATUS=answering on ${path}`)
    using cri = await connect(path, { signal })
    expect((await cri.image.imageFsInfo({}, { signal })).imageFilesystems).toHaveLength(1)
    expect(existsSync(own)).toBe(false)
    await daemon.stop()
    expect(notified.next()).toBe('STOPPING=1')
    expect(existsSync(path)).toBe(true)
  })
})

describe.skipIf(lacking('root', 'python3'))('under a supervisor', () => {
  it('killed again and again, it refuses no connection and fails no call that is made anew', { timeout: 90_000 }, async ({
    signal,
  }) => {
    await using registry = await startRegistry()
    publish(registry, 'test/sample', '1', sample)
    await using dir = await temp()
    const path = join(dir.path, 'held.sock')
    await using supervisor = start('python3', [join(import.meta.dirname, 'supervise.py'), path, ...serve(dir.path)])
    await supervisor.line(/"msg":"ready"/, { signal })

    const caller = callerOf(path, { signal })
    const reference = `${registry.host}/test/sample:1`
    const pull = () =>
      caller.call(async (cri) => (await cri.image.pullImage({ image: { image: reference } }, { signal })).imageRef)
    const id = await pull()
    await using connecting = probing(path)
    for (let round = 0; round < 9; round++) {
      const last = living(supervisor)
      const kill = (): void => void process.kill(last, 'SIGKILL')
      // Before a call, beside one, and in the middle of one: while it waits for the registry.
      if (round % 3 === 0) kill()
      const look = caller.call((cri) => cri.image.imageStatus({ image: { image: id } }, { signal }))
      if (round % 3 === 1) kill()
      registry.fault = () => {
        registry.fault = undefined
        if (round % 3 === 2) kill()
        return undefined
      }
      expect(await pull()).toBe(id)
      expect((await look).image?.id).toBe(id)
      await eventually(async () => living(supervisor) !== last && isReady(supervisor, living(supervisor)), { signal })
    }
    expect(await pull()).toBe(id)
    const answers = await connecting.end()
    expect(answers.alive).toBeGreaterThan(50)
    expect(answers).toEqual({ alive: answers.alive })
    expect(caller.repeated).toBeGreaterThanOrEqual(3)
    expect(started(supervisor).length).toBe(10)
  })

  it('starts nothing that holds the socket too', async ({ signal }) => {
    await using registry = await startRegistry()
    publish(registry, 'test/sample', '1', sample)
    await using dir = await temp()
    const path = join(dir.path, 'held.sock')
    await using supervisor = start('python3', [join(import.meta.dirname, 'supervise.py'), path, ...serve(dir.path)])
    await supervisor.line(/"msg":"ready"/, { signal })
    const pid = living(supervisor)
    const socket = readlinkSync(`/proc/${pid}/fd/3`)
    expect(socket).toMatch(/^socket:/)
    using cri = await connect(path, { signal })
    // Starts an extractor, which stays for a while.
    await cri.image.pullImage({ image: { image: `${registry.host}/test/sample:1` } }, { signal })
    const children = extractorsOf(pid)
    expect(children).not.toEqual([])
    for (const child of children) {
      const held = readdirSync(`/proc/${child}/fd`).map((fd) => readlinkSync(`/proc/${child}/fd/${fd}`))
      expect(held).not.toContain(socket)
    }
  })
})
