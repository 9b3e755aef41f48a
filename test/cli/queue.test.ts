/** `queue` and `wait`, against a daemon's control service whose lists the test fills. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { run } from '../../src/cli/run.ts'
import type { PullStatus } from '../../src/pull/pull.ts'
import type { DeclaredQueue, ImageState, QueuedImage } from '../../src/pull/queue.ts'
import { serve } from '../../src/rpc/server.ts'
import { startDaemon, testServicesWith } from '../rpc/daemon.ts'
import { storedImage } from '../rpc/parts.ts'
import { depsWith, terminal, windlass } from './terminal.ts'

const app = storedImage('app')
/** Of a machine that others use too. */
const soon = { timeout: 20_000 }
const here: ImageState = { kind: 'here', image: app.id, at: new Date(1_700_000_000_000), isProtected: true }
const failed = (): ImageState => ({
  kind: 'failed',
  reason: 'r.example/d:1: r.example: 503',
  attempts: 3,
  next: new Date(Date.now() + 7_855_000),
})
const image = (name: string, state: ImageState, list = 'base', priority = 100): QueuedImage => ({ list, name, priority, state })

/** Lists as the test says they are. */
function drivenLists(first: Partial<DeclaredQueue> = {}) {
  let queue: DeclaredQueue = { lists: ['base', 'gpu'], images: [], problems: [], ...first }
  const watchers = new Set<() => void>()
  return {
    watchers,
    lists: {
      queue: () => queue,
      watch: (onChange: () => void, { signal }: { readonly signal: AbortSignal }) => {
        watchers.add(onChange)
        signal.addEventListener('abort', () => watchers.delete(onChange), { once: true })
      },
      read: Promise.resolve(),
    },
    become: (next: Partial<DeclaredQueue>) => {
      queue = { ...queue, ...next }
      for (const watcher of watchers) watcher()
    },
  }
}

async function start(first?: Partial<DeclaredQueue>, hasLists = true) {
  const driven = drivenLists(first)
  const parts = testServicesWith(hasLists ? driven.lists : undefined)
  const daemon = await startDaemon(parts.services)
  onTestFinished(() => daemon[Symbol.asyncDispose]())
  const call = (args: readonly string[], options: Parameters<typeof windlass>[2] = {}) =>
    windlass(['--socket', daemon.path, ...args], depsWith(), options)
  return { ...driven, puller: parts.driven, path: daemon.path, call }
}

const pull = (reference: string, clients: PullStatus['clients']): PullStatus => ({
  id: 'ab12cd34',
  reference,
  platform: { os: 'linux', architecture: 'amd64' },
  clients,
  startedAt: new Date(),
  phase: 'pulling',
  layers: [{ digest: app.id, size: 4_000_000, state: 'downloading', bytes: 1_000_000 }],
})

describe('queue', () => {
  const images = [
    image('r.example/a:1', here),
    image('r.example/b:1', { kind: 'pulling', since: new Date(), failed: { reason: 'timed out', attempts: 1 } }),
    image('r.example/c:1', { kind: 'waiting' }),
    image('r.example/d:1', failed(), 'gpu', 0),
  ]

  test('shows what pods wait for first, then lists in their order, and why something has not come', async () => {
    const { call, puller } = await start({ images, held: 'the disk is full', problems: ['bad.yaml:3: oops'] })
    puller.show([pull('r.example/pod:1', ['cri']), pull('r.example/b:1', ['prepull'])])
    const { code, stdout } = await call(['queue'])
    expect(code).toBe(0)
    expect(stdout.split('\n').map((line) => line.split(/\s{2,}/))).toEqual([
      ['IMAGE', 'STATE', 'BYTES', 'FOR', 'PRIORITY', 'NEXT', 'FAILED'],
      ['r.example/pod:1', 'pulling', '1 MB / 4 MB', 'pod', 'first'],
      ['r.example/b:1', 'pulling', '1 MB / 4 MB', 'list base', '100', '1× timed out'],
      ['r.example/c:1', 'waiting', 'list base', '100'],
      ['r.example/d:1', 'failed', 'list gpu', '0', 'in 2h10m', '3× r.example: 503'],
      ['1 of 4 declared images here, in 2 lists'],
      ['nothing more begins: the disk is full'],
      ['not in force: bad.yaml:3: oops'],
      [''],
    ])
    expect((await call(['queue', '--all'])).stdout).toContain('r.example/a:1')
  })

  test('--all says which images kubelet may remove', async () => {
    const { call } = await start({
      images: [image('r.example/a:1', here), image('r.example/b:1', { ...here, isProtected: false })],
    })
    const rows = (await call(['queue', '--all'])).stdout.split('\n').map((line) => line.split(/\s{2,}/).slice(0, 2))
    expect(rows.slice(1, 3)).toEqual([
      ['r.example/a:1', 'here'],
      ['r.example/b:1', 'unprotected'],
    ])
  })

  test('a pull that a pod joins is one line, of both', async () => {
    const { call, puller } = await start({ images })
    puller.show([pull('r.example/b:1', ['prepull', 'cri'])])
    const { images: rows } = JSON.parse((await call(['-o', 'json', 'queue'])).stdout)
    expect(rows.filter((row: { image: string }) => row.image === 'r.example/b:1')).toEqual([
      expect.objectContaining({ for: ['pod', 'list base'], state: 'pulling', bytes: { done: 1_000_000, of: 4_000_000 } }),
    ])
    expect(rows.at(-1)).toMatchObject({ state: 'failed', attempts: 3, reason: 'r.example/d:1: r.example: 503', priority: 0 })
  })

  test('says that there are no lists, where there are none', async () => {
    const { call } = await start({}, false)
    expect((await call(['queue'])).stdout).toContain('no lists are configured (prepull.listDir)')
  })

  test('--watch goes on until SIGINT', async () => {
    const { path, become } = await start({ images: [image('r.example/a:1', { kind: 'waiting' })] })
    const at = terminal()
    const watching = run(['--socket', path, 'queue', '--watch'], depsWith(), at.io)
    await expect.poll(at.stdout, soon).toContain('waiting')
    become({ images: [image('r.example/a:1', failed())] })
    await expect.poll(at.stdout, soon).toContain('3× r.example/d:1: r.example: 503')
    at.interrupt('SIGINT')
    expect(await watching).toBe(130)
  })
})

describe('wait', () => {
  const waiting = [image('r.example/a:1', { kind: 'waiting' }), image('r.example/d:1', failed(), 'gpu')]

  // Longer than a timer can be, too: no time at all, that was, or an error.
  test.each(['1m', '600h', '9999h'])(
    'until every image of its lists is here, and says what it waits for: %s',
    async (timeout) => {
      const { path, become, watchers } = await start({ images: waiting })
      const at = terminal()
      const ended = run(['--socket', path, '-o', 'json', 'wait', '--list', 'base', '--timeout', timeout], depsWith(), at.io)
      await expect.poll(at.stderr, soon).toContain('waiting for 1 of 1 image')
      become({ images: [image('r.example/a:1', here), ...waiting.slice(1)] })
      expect(await ended).toBe(0)
      expect(JSON.parse(at.stdout())).toEqual([
        { list: 'base', image: 'r.example/a:1', imageId: app.id, at: '2023-11-14T22:13:20.000Z', protected: true },
      ])
      await expect.poll(() => watchers.size, soon).toBe(0)
    },
  )

  test('goes on where the daemon is restarted in between', async () => {
    const first = testServicesWith(drivenLists({ images: waiting }).lists)
    const daemon = await startDaemon(first.services)
    await using _ = daemon
    const at = terminal()
    const ended = run(['--socket', daemon.path, 'wait', '--timeout', '1m'], depsWith(), at.io)
    await expect.poll(at.stderr, soon).toContain('waiting for 2 of 2 images')
    await daemon.server.close(0)
    await expect.poll(at.stderr, soon).toContain('the daemon has gone; waiting until it is back\n')
    const come = [image('r.example/a:1', here), image('r.example/d:1', here, 'gpu')]
    const { services } = testServicesWith(drivenLists({ images: come }).lists)
    const { signal } = new AbortController()
    const server = await serve(services, { path: daemon.path, mode: 0o660, onCall: () => {}, onError: () => {}, signal })
    onTestFinished(() => server.close(0))
    expect(await ended).toBe(0)
    expect(at.stdout()).toBe('2 images here\n')
    expect(at.stderr().match(/has gone/g)).toHaveLength(1)
  })

  test('fails when the time is over, with what each waits for', async () => {
    const { call } = await start({ images: waiting })
    const { code, stderr } = await call(['wait', '--timeout', '1s'])
    expect(code).toBe(1)
    expect(stderr).toContain('not here after 1 s: r.example/a:1 (waiting); r.example/d:1 (r.example: 503; tried 3 times)')
  })

  test('refuses a list that is not there, with those that are, and a daemon without lists', async () => {
    const { call } = await start({ images: waiting, problems: ['bad.yaml:3: oops'] })
    const { code, stderr } = await call(['wait', '--list', 'bse'])
    expect(code).toBe(2)
    expect(stderr).toContain('invalid list "bse": no list of that name; there are base, gpu; bad.yaml:3: oops')
    const none = await start({}, false)
    expect(await none.call(['wait'])).toMatchObject({ code: 2, stderr: expect.stringContaining('follows no lists') })
  })

  test('shows it in place on a terminal', async () => {
    const { path, become } = await start({ images: waiting })
    const at = terminal({ tty: { columns: 100, rows: 24 }, env: { TERM: 'xterm' } })
    const ended = run(['--socket', path, 'wait'], depsWith(), at.io)
    await expect.poll(at.stderr, soon).toMatch(/r\.example\/d:1 {2}r\.example: 503; tried 3 times; again in 2h10m/)
    become({ images: waiting.map((each) => ({ ...each, state: here })) })
    expect(await ended).toBe(0)
    expect(at.stdout()).toBe('2 images here\n')
  })
})
