import { tmpdir } from 'node:os'
import { describe, expect, onTestFinished, test } from 'vitest'
import { run } from '../../src/cli/run.ts'
import { type Glance, glanceLines } from '../../src/cli/top-view.ts'
import { createControlService } from '../../src/control/control-service.ts'
import { fail } from '../../src/failure/failure.ts'
import { createCollector } from '../../src/gc/gc.ts'
import type { PullEvent, PullStatus } from '../../src/pull/pull.ts'
import type { ImageState } from '../../src/pull/queue.ts'
import { reportOf } from '../../src/pull/report.ts'
import type { Services } from '../../src/rpc/server.ts'
import { housekeeperOver, startDaemon, testServices } from '../rpc/daemon.ts'
import { drivenPuller, memoryStore, noLooker, noVerifier, storedImage } from '../rpc/parts.ts'
import { depsWith, terminal, windlass } from './terminal.ts'

const app = storedImage('app')
const pulling = (id: string, phase: PullStatus['phase'] = 'pulling'): PullStatus => ({
  id,
  reference: 'r.example/app:1',
  platform: { os: 'linux', architecture: 'amd64' },
  clients: ['cri'],
  startedAt: new Date(),
  phase,
  layers: [{ digest: app.id, size: 1_000, state: 'downloading', bytes: 500 }],
})
const ended = (id: string, failure?: { kind: string; message: string }) =>
  reportOf({ reference: '', ms: 12 }, [begun(id)], failure)
const begun = (id: string): PullEvent => ({
  type: 'begun',
  id,
  reference: `r.example/${id}:1`,
  client: 'cri',
  startedAt: new Date(0),
})
const glance = (more: Partial<Glance> = {}): Glance => ({
  daemon: {
    version: '1.2.3',
    pid: 1,
    root: '/var/lib/windlass',
    disk: { path: '/var/lib/windlass', totalBytes: 100e9, availableBytes: 60e9, usedPercent: 40, imageBytes: 12.3e9 },
  },
  pulls: [],
  history: [],
  ...more,
})
const plain = (_: string, text: string): string => text
const lines = (seen: Glance, columns = 120, rows = 40): readonly string[] => glanceLines(seen, { columns, rows }, plain)

/** A daemon whose images are on the disk that temporary files are on. */
function onDisk() {
  const { services } = testServices(app)
  const { store } = memoryStore(app)
  const driven = drivenPuller()
  const windlass = createControlService({
    ...about,
    node: () => ({
      puller: driven.puller,
      store: { ...store, overlayDir: tmpdir() },
      collector: createCollector(store),
      housekeeper: housekeeperOver(store),
      looker: noLooker,
      verifier: noVerifier,
      history: { list: async () => [ended('33333333')] },
    }),
  })
  return { services: { ...services, windlass }, driven }
}
const about = {
  log: { info: () => {}, warn: () => {} },
  root: '/r',
  platform: { os: 'linux', architecture: 'amd64' },
  version: '1.2.3',
}

async function start(services: Services) {
  const daemon = await startDaemon(services)
  onTestFinished(() => daemon[Symbol.asyncDispose]())
  return { ...daemon, call: (...args: string[]) => windlass(['--socket', daemon.path, ...args], depsWith()) }
}

describe('what is seen at one glance', () => {
  test('the disk, pulls under way, those that ended and why one failed', () => {
    const seen = glance({
      pulls: [pulling('11111111'), pulling('22222222', 'queued')],
      history: [ended('33333333', { kind: 'denied', message: 'it may not be read' }), ended('44444444')],
    })
    const [first, disk, , pulls, header, one, two, , last, ...table] = lines(seen)
    expect(first).toBe('windlass 1.2.3  images in /var/lib/windlass')
    expect(disk).toBe('disk 40 % used, 60 GB of 100 GB free; images 12.3 GB  /var/lib/windlass')
    expect(pulls).toBe('2 pulls under way, 1 of them waiting')
    expect(header).toMatch(/^PULL +IMAGE/)
    expect([one, two].map((line) => line?.slice(0, 8))).toEqual(['11111111', '22222222'])
    expect(last).toBe('last 2 pulls that ended, 1 of them failed')
    expect(table[0]).toMatch(/^PULL +.*WHY/)
    expect(table[1]).toMatch(/^33333333.*denied.*it may not be read/)
    expect(table[2]).toMatch(/^44444444/)
  })

  test('image lists, and what keeps them from being whole', () => {
    const image = (name: string, state: ImageState) => ({ list: 'base', name, priority: 0, state })
    const declared = {
      lists: ['base', 'none'],
      images: [
        image('a', { kind: 'here', image: app.id, at: new Date(), isProtected: true }),
        image('b', { kind: 'failed', reason: 'denied', attempts: 1, next: new Date() }),
        image('c', { kind: 'waiting' }),
      ],
      problems: ['ml.yaml:3: unknown key'],
      held: 'pulls that somebody waits for go first',
    }
    expect(lines(glance({ declared })).slice(2, 6)).toEqual([
      'list base: 1 of 3 images here, 1 failed',
      'list none: 0 of 0 images here',
      '1 file of lists not in force: ml.yaml:3: unknown key',
      'none begins: pulls that somebody waits for go first',
    ])
  })

  test('in the room there is: some of each', () => {
    const ids = (first: string, count: number) =>
      Array.from({ length: count }, (_, at) => `${first}${String(at).padStart(7, '0')}`)
    const seen = glance({ pulls: ids('a', 50).map((id) => pulling(id)), history: ids('b', 20).map((id) => ended(id)) })
    const shown = lines(seen, 80, 24)
    expect(shown).toHaveLength(23)
    expect(shown.every((line) => line.length <= 80)).toBe(true)
    expect(shown.filter((line) => line.startsWith('a0')).length).toBeGreaterThan(10)
    expect(shown.some((line) => line.startsWith('last 20 pulls'))).toBe(true)
    expect(shown.filter((line) => line.startsWith('b0')).length).toBeGreaterThan(0)
    // Few under way leave the room to the others.
    expect(lines(glance({ history: seen.history }), 80, 24).filter((line) => line.startsWith('b0')).length).toBeGreaterThan(14)
  })

  test.each([
    [{ missing: 'it is being opened' }, 'it is being opened'],
    [{ passthrough: { on: true, reason: 'by hand' } }, 'passthrough, by hand'],
    [{ down: 'nobody listens', missing: 'x' }, 'nobody listens'],
    [{ obstacles: ['a snapshotter\u001b[2J'] }, 'a snapshotter\\u{1b}[2J'],
  ])('why pulls are the runtime’s: %o', (more, why) => {
    const runtime = {
      kind: 'containerd',
      socket: '/s',
      version: '1.7.1',
      obstacles: [],
      missing: '',
      down: '',
      passthrough: { on: false, reason: '' },
      ...more,
    }
    const [first, second] = lines(glance({ daemon: { version: '1', pid: 1, root: '/r', runtime } }))
    expect(first).toBe('windlass 1  beside containerd 1.7.1')
    expect(second).toBe(`pulls are the runtime's: ${why}`)
  })
})

describe('top', () => {
  test('prints once where nobody watches', async () => {
    const { services, driven } = onDisk()
    const { call } = await start(services)
    driven.show([pulling('11111111')])
    const { code, stdout, stderr } = await call('top')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(
      /^windlass 1\.2\.3 .*\ndisk \d+ % used, .* free; images .*\n\n1 pull under way\nPULL.*\n11111111.*\n\nlast 1 pull that ended\nPULL.*\n33333333/,
    )
  })

  test('says the same as JSON', async () => {
    const { services, driven } = onDisk()
    const { call } = await start(services)
    driven.show([pulling('11111111')])
    expect(JSON.parse((await call('-o', 'json', 'top')).stdout)).toMatchObject({
      daemon: { version: '1.2.3', disk: { totalBytes: expect.any(Number), imageBytes: expect.any(Number) } },
      pulls: [{ id: '11111111', platform: 'linux/amd64' }],
      history: [{ id: '33333333' }],
    })
  })

  test('is redrawn on a terminal as pulls come and go, and leaves it as it was', async () => {
    const { services, driven } = onDisk()
    const { path } = await start(services)
    const at = terminal({ tty: { columns: 100, rows: 24 }, env: { TERM: 'xterm' } })
    const watching = run(['--socket', path, 'top'], depsWith(), at.io)
    await expect.poll(at.stdout).toContain('0 pulls under way')
    driven.show([pulling('11111111')])
    await expect.poll(at.stdout).toContain('11111111')
    driven.show([])
    await expect.poll(() => at.chunks.at(-1)).toContain('0 pulls under way')
    at.interrupt('SIGINT')
    expect(await watching).toBe(130)
    expect(at.chunks.at(-1)).toMatch(/\?25h$/)
  })

  test('shows a daemon that has no way of its own to pull just now', async () => {
    const closed = createControlService({
      ...about,
      node: () => fail({ kind: 'passthrough', reason: 'it is being opened' }),
    })
    const { path, call } = await start({ ...testServices().services, windlass: closed })
    expect(await call('top')).toMatchObject({ code: 0, stdout: expect.stringContaining('0 pulls under way') })
    const at = terminal({ tty: { columns: 100, rows: 24 }, env: { TERM: 'xterm' } })
    const watching = run(['--socket', path, 'top'], depsWith(), at.io)
    await expect.poll(at.stdout).toContain('0 pulls under way')
    at.interrupt('SIGINT')
    expect(await watching).toBe(130)
  })
})
