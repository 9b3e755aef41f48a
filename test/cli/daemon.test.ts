import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { run } from '../../src/cli/run.ts'
import { bytes } from '../../src/cli/text.ts'
import { WindlassError } from '../../src/failure/failure.ts'
import type { LayerReport, PullStatus } from '../../src/pull/pull.ts'
import { b64, place } from '../credentials/places.ts'
import { startDaemon, testServices } from '../rpc/daemon.ts'
import { planOf, storedImage } from '../rpc/parts.ts'
import { depsWith, terminal, windlass } from './terminal.ts'

const app = storedImage('app', {
  tags: ['r.example/app:1', 'r.example/app:2'],
  digests: [`r.example/app@sha256:${'d'.repeat(64)}`],
  run: { env: ['A=\u001b]0;title\u0007'], labels: { team: 'a\u009bb' } },
})
const byDigest = storedImage('bare', { digests: [`r.example/bare@sha256:${'e'.repeat(64)}`], pinned: true })
const report: LayerReport = {
  origin: 'registry',
  host: 'r.example',
  blobSize: 1_001,
  diffSize: 10_001,
  entries: 7,
  whiteouts: 1,
  queuedMs: 0.456789,
  startMs: 0,
  networkMs: 200,
  unpackMs: 300,
  waitMs: 0.25,
  inflateMs: 1.25,
  hashMs: 0.5,
  writeMs: 0.75,
  belowMs: 0.25,
  commitMs: 0.5,
  attempts: 2,
  warnings: ['odd \u001b name'],
}

const begun = {
  type: 'begun',
  id: '1a2b3c4d',
  reference: 'r.example/app:1',
  client: 'cri',
  startedAt: new Date('2026-01-02T03:04:05Z'),
} as const

async function start(...images: Parameters<typeof testServices>) {
  const parts = testServices(...images)
  const daemon = await startDaemon(parts.services)
  onTestFinished(() => daemon[Symbol.asyncDispose]())
  const call = (args: readonly string[], options: Parameters<typeof windlass>[2] = {}) =>
    windlass(['--socket', daemon.path, ...args], depsWith(), options)
  return { ...parts, ...daemon, call }
}

/** Drives one pull through all of its events. */
async function drive({ driven }: Awaited<ReturnType<typeof start>>, gap?: Promise<void>) {
  const pull = await driven.next()
  const platform = { os: 'linux', architecture: 'amd64' }
  pull.emit({
    type: 'resolved',
    root: byDigest.manifest,
    manifest: app.manifest,
    platform,
    host: 'r.example',
    ms: 6.125,
    queuedMs: 0.5,
    tokenMs: 1.5,
  })
  pull.emit({ type: 'planned', plan: planOf(app, pull.request) })
  pull.emit({ type: 'progress', layer: 1, state: 'downloading', bytes: 512 })
  await gap
  pull.emit({ type: 'layer', layer: 0, report: { ...report, origin: 'here', whiteouts: 0, attempts: 1, warnings: [] } })
  pull.emit({ type: 'layer', layer: 1, report })
  pull.emit({ type: 'sealed', syncMs: 41, publishMs: 2 })
  pull.emit({ type: 'done', imageId: app.id, ms: 800, verdict: 'bottleneck: unpacking layer 2' })
  pull.succeed(app)
  return pull
}

test('a file that only the daemon needs does not keep a client from asking it', async () => {
  const daemon = await start(app)
  const { code, stdout, stderr } = await daemon.call(['images', '-q'], { env: { WINDLASS_CONFIG: '/not/there.yaml' } })
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${app.id}\n` })
  expect(stderr).toBe('windlass: warning: /not/there.yaml: there is no such file; windlass config > FILE makes one\n')
})

describe('pull through a daemon', () => {
  test('the id on stdout, the story on stderr', async () => {
    const daemon = await start()
    const [result, { request }] = await Promise.all([
      daemon.call(['pull', '--platform', 'linux/amd64', '--creds', 'me:p:w', 'r.example/app:1']),
      drive(daemon),
    ])
    expect(request.credentials).toEqual({ kind: 'basic', username: 'me', password: 'p:w' })
    expect(result).toMatchObject({ code: 0, stdout: `${app.id}\n` })
    expect(result.stderr.split('\n')).toEqual([
      expect.stringMatching(/^resolve {4}index \w{12} → linux\/amd64 \w{12} {2}r\.example {2}6 ms$/),
      'plan       2 layers: 1 kB to fetch, 1 kB here already',
      'layer 1/2     1 kB  here already',
      'layer 2/2     1 kB  net 0.2 s  unpack 0.3 s  sha256 ✓ diffID ✓  10 kB in 7 entries  1 whiteout  2 attempts',
      '           note: odd \\u{1b} name',
      'seal       synced 41 ms, published 2 ms',
      'done       0.8 s; bottleneck: unpacking layer 2',
      '',
    ])
  })

  test('--json: one event a line on stdout, nothing else', async () => {
    const daemon = await start()
    const [{ code, stdout, stderr }] = await Promise.all([daemon.call(['pull', '--json', 'r.example/app:1']), drive(daemon)])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(events.map(({ type }) => type)).toEqual(['resolved', 'planned', 'progress', 'layer', 'layer', 'sealed', 'done'])
    expect(events[4].report.warnings).toEqual(report.warnings)
    expect(events[4].report.queuedMs).toBe(0.46)
    expect([events[0].platform, events[1].plan.platform, events[0].ms]).toEqual(['linux/amd64', 'linux/amd64', 6.13])
    expect(stdout).not.toContain('\u001b')
  })

  test('--json: a failure is the last event, and on stderr too', async () => {
    const daemon = await start()
    const pulled = daemon.call(['pull', '--json', 'r.example/none:1'])
    const failure = { kind: 'manifest-unknown', reference: 'r.example/none:1', tried: [] } as const
    ;(await daemon.driven.next()).fail(new WindlassError(failure))
    const { code, stdout, stderr } = await pulled
    expect({ code, event: JSON.parse(stdout) }).toEqual({
      code: 1,
      event: { type: 'failed', kind: 'manifest-unknown', message: stderr.replace(/^windlass: /, '').trimEnd() },
    })
  })

  test('-o json --report: the id that the history has, its total, and each layer once', async () => {
    const daemon = await start()
    const pulled = daemon.call(['-o', 'json', 'pull', '--report', 'r.example/app:1'])
    const pull = await daemon.driven.next()
    pull.emit(begun)
    pull.emit({ type: 'planned', plan: planOf(app, pull.request) })
    pull.emit({ type: 'layer', layer: 1, report })
    pull.emit({ type: 'done', imageId: app.id, ms: 800, verdict: 'bottleneck: x' })
    pull.succeed(app)
    const { stdout, stderr } = await pulled
    expect(stderr).not.toContain('times')
    const result = JSON.parse(stdout)
    expect(result).toMatchObject({ imageId: app.id, id: begun.id, ms: 800, layers: [{ entries: 7 }] })
    expect(result.report).toMatchObject({ id: begun.id, client: 'cri', ms: 800, startedAt: begun.startedAt.toISOString() })
    expect(result.report).not.toHaveProperty('layers')
  })

  test('-o json --report of a pull that fails: a result with the failure and how far it came; stderr has the sentence once', async () => {
    const daemon = await start()
    const pulled = daemon.call(['-o', 'json', 'pull', '-q', '--report', 'r.example/none:1'])
    const pull = await daemon.driven.next()
    const layer = { layer: 1, digest: app.id, size: 100, bytes: 40, state: 'downloading', ms: 12.345 } as const
    pull.emit(begun)
    pull.emit({
      type: 'stopped',
      ms: 22_400,
      step: 'resolving',
      stepMs: 22_399,
      queuedMs: 1,
      tokenMs: 0,
      layers: [layer],
      cause: '503',
    })
    pull.fail(new WindlassError({ kind: 'registry-unavailable', reference: 'r.example/none:1', tried: [] }))
    const { code, stdout, stderr } = await pulled
    expect(code).toBe(1)
    const message = stderr.replace(/^windlass: /, '').trimEnd()
    const failure = { kind: 'registry-unavailable', message, cause: '503' }
    const result = JSON.parse(stdout)
    expect(result).toMatchObject({ id: begun.id, failure, report: { failure, resolveMs: 22_399, ms: 22_400 } })
    expect(result.verdict).toBe('503; failed after 22.4 s, before it was resolved')
    expect(result.report.unfinished).toEqual([{ ...layer, ms: 12.35 }])
    expect(result).not.toHaveProperty('imageId')
  })

  test('--report of a pull that fails: what was under way, and the sentence once', async () => {
    const daemon = await start()
    const pulled = daemon.call(['pull', '-q', '--report', 'r.example/none:1'])
    const pull = await daemon.driven.next()
    pull.emit(begun)
    pull.emit({
      type: 'stopped',
      ms: 22_400,
      step: 'resolving',
      stepMs: 22_400,
      queuedMs: 0,
      tokenMs: 0,
      layers: [],
      cause: '503',
    })
    pull.fail(new WindlassError({ kind: 'registry-unavailable', reference: 'r.example/none:1', tried: [] }))
    const { stdout, stderr } = await pulled
    expect(stdout).toBe('')
    expect(stderr).toContain(`pull       ${begun.id}  r.example/app:1  for cri`)
    expect(stderr).toContain('why        503; failed after 22.4 s, before it was resolved\n')
    expect(stderr).toContain('times      22 s in all; queued 0 ms; resolve 22 s (token 0 ms); room 0 ms;')
    expect(stderr.split('no registry could be reached')).toHaveLength(2)
  })

  test('-o json: layers in the order of the image, each with its digests, in whatever order they end', async () => {
    const daemon = await start()
    const pulled = daemon.call(['-o', 'json', 'pull', 'r.example/app:1'])
    const pull = await daemon.driven.next()
    const plan = planOf(app, pull.request)
    pull.emit({ type: 'planned', plan })
    pull.emit({ type: 'layer', layer: 1, report })
    pull.emit({ type: 'layer', layer: 0, report: { ...report, entries: 3 } })
    pull.emit({ type: 'done', imageId: app.id, ms: 800, verdict: '' })
    pull.succeed(app)
    const { layers } = JSON.parse((await pulled).stdout)
    expect(layers).toMatchObject([
      { digest: plan.layers[0]?.blob.digest, diffId: plan.layers[0]?.diffId, entries: 3 },
      { digest: plan.layers[1]?.blob.digest, diffId: plan.layers[1]?.diffId, entries: 7 },
    ])
  })

  test('-o yaml and --quiet: one result, no progress', async () => {
    const daemon = await start()
    const [{ stdout, stderr }] = await Promise.all([daemon.call(['-o', 'yaml', 'pull', '-q', 'r.example/app:1']), drive(daemon)])
    expect(stderr).toBe('')
    expect(stdout).toContain(`imageId: ${app.id}\n`)
    expect(stdout).toContain('bytesFetched: 1001\n')
  })

  test('--trace: a file of trace events, of a pull that fails too; a name that cannot be written to costs no pull', async () => {
    using at = place()
    const file = join(at.path, 'pull.json')
    const daemon = await start()
    const names = () => JSON.parse(readFileSync(file, 'utf8')).traceEvents.map(({ name }: { name: string }) => name)
    const traced = (...args: string[]) => daemon.call(['pull', '-q', '--trace', file, ...args])
    const [{ code }] = await Promise.all([traced('r.example/app:1'), drive(daemon)])
    expect(code).toBe(0)
    expect(names()).toEqual(expect.arrayContaining(['resolve', 'here already', 'fetch and unpack', 'bytes fetched', 'sync']))

    const failing = traced('r.example/none:1')
    ;(await daemon.driven.next()).fail(new WindlassError({ kind: 'manifest-unknown', reference: 'r.example/none:1', tried: [] }))
    expect((await failing).code).toBe(1)
    expect(JSON.parse(readFileSync(file, 'utf8')).otherData.verdict).toMatch(/; failed after /)

    const lost = await daemon.call(['pull', '--trace', join(at.path, 'none', 'pull.json'), 'r.example/app:1'])
    expect(lost).toMatchObject({ code: 2, stdout: '' })
    expect(lost.stderr).toMatch(
      /^windlass: invalid --trace: .*none\/pull\.json: no such file or directory.*; nothing was pulled\n$/,
    )
  })

  test('on a terminal: rows while it runs, gone when it is done, the report stays', async () => {
    const daemon = await start()
    const at = terminal({ tty: { columns: 100, rows: 30 }, env: { TERM: 'xterm' } })
    const shown = Promise.withResolvers<void>()
    const pulled = run(['--socket', daemon.path, 'pull', 'r.example/app:1'], depsWith(), at.io)
    const driving = drive(daemon, shown.promise)
    await expect.poll(at.stderr).toMatch(/layer 2\/2 .*downloading.*512 B \/ 1 kB/)
    shown.resolve()
    await driving
    expect(await pulled).toBe(0)
    expect(at.stderr()).toContain('\u001b[?25l')
    expect(at.stderr().endsWith('\u001b[0J\u001b[?25h')).toBe(true)
    expect(at.stderr()).toContain('done       0.8 s; bottleneck: unpacking layer 2\n')
    expect(at.stdout()).toBe(`${app.id}\n`)
  })

  test('on a terminal, SIGINT is answered with a word', async () => {
    const { path, driven } = await start()
    const at = terminal({ tty: { columns: 100, rows: 30 }, env: { TERM: 'xterm' } })
    const pulled = run(['--socket', path, 'pull', 'r.example/app:1'], depsWith(), at.io)
    await driven.next()
    at.interrupt('SIGINT')
    expect(await pulled).toBe(130)
    expect(at.stderr().endsWith('windlass: interrupted\n')).toBe(true)
  })

  test('credentials from stdin: one line, whatever comes after', async () => {
    const daemon = await start()
    const [{ code }, { request }] = await Promise.all([
      daemon.call(['pull', '-q', '--creds-stdin', 'r.example/app:1'], { stdin: 'me:p:w\r\nmore' }),
      drive(daemon),
    ])
    expect({ code, credentials: request.credentials }).toEqual({
      code: 0,
      credentials: { kind: 'basic', username: 'me', password: 'p:w' },
    })
  })

  test('a login of one’s own: --authfile, else where podman and docker keep them; helpers are asked', async () => {
    using at = place()
    const answer = JSON.stringify({ Username: 'helped', Secret: 'h' })
    at.program('docker-credential-own', `echo '${answer}'`)
    at.file('.docker/config.json', { credHelpers: { 'r.example': 'own' }, auths: { 's.example': { auth: b64('docker:d') } } })
    const file = at.file('auth.json', { auths: { 'r.example/app': { auth: b64('named:n') } } })
    const env = { HOME: at.path, PATH: `${at.path}:/usr/bin:/bin`, XDG_RUNTIME_DIR: `${at.path}/run` }
    const loginOf = async (args: readonly string[], more: Record<string, string> = {}) => {
      const daemon = await start()
      const [{ code }, { request }] = await Promise.all([
        daemon.call(['pull', '-q', ...args], { env: { ...env, ...more } }),
        drive(daemon),
      ])
      expect(code).toBe(0)
      return request.credentials
    }
    expect(await loginOf(['r.example/app:1'])).toEqual({ kind: 'basic', username: 'helped', password: 'h' })
    expect(await loginOf(['s.example/app:1'])).toEqual({ kind: 'basic', username: 'docker', password: 'd' })
    expect(await loginOf(['t.example/app:1'])).toEqual({ kind: 'anonymous' })
    const named = { kind: 'basic', username: 'named', password: 'n' }
    expect(await loginOf(['--authfile', file, 'r.example/app:1'])).toEqual(named)
    expect(await loginOf(['r.example/app:1'], { REGISTRY_AUTH_FILE: file })).toEqual(named)
    expect(await loginOf(['--creds', 'me:p', 'r.example/app:1'])).toEqual({ kind: 'basic', username: 'me', password: 'p' })
  })

  test('a file of logins that is wrong is an error where it is named, else a warning', async () => {
    using at = place()
    const broken = at.file('.docker/config.json', '{"auths": canary}')
    const daemon = await start()
    const named = await daemon.call(['pull', '--authfile', broken, 'r.example/app:1'], { env: {} })
    expect(named).toEqual({ code: 2, stdout: '', stderr: `windlass: invalid --authfile: ${broken}:1: it is not JSON\n` })
    const both = await daemon.call(['pull', '--authfile', broken, '--creds', 'a:b', 'r.example/app:1'], { env: {} })
    expect(both).toMatchObject({ code: 2, stderr: 'windlass: invalid --authfile: give it or --creds, not both\n' })
    const env = { HOME: at.path, XDG_RUNTIME_DIR: at.path }
    const [usual] = await Promise.all([daemon.call(['pull', '-q', 'r.example/app:1'], { env }), drive(daemon)])
    expect(usual).toMatchObject({ code: 0, stderr: `windlass: warning: ${broken}:1: it is not JSON\n` })
  })

  test("a failure is the daemon's sentence, exit code 1", async () => {
    const daemon = await start()
    const pulled = daemon.call(['pull', 'r.example/none:1'])
    const tried = [{ host: 'r.example', result: '404 manifest\u001b unknown' }]
    ;(await daemon.driven.next()).fail(new WindlassError({ kind: 'manifest-unknown', reference: 'r.example/none:1', tried }))
    const { code, stdout, stderr } = await pulled
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^windlass: .*r\.example\/none:1: not found \(r\.example: 404 manifest\\u\{1b\} unknown\)/)
  })

  test('a reference that is none: exit code 2', async () => {
    const daemon = await start()
    expect(await daemon.call(['pull', 'r.example/UPPER'])).toMatchObject({ code: 2, stdout: '' })
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('%s leaves the pull and exits with %d', async (name, code) => {
    const { path, driven } = await start()
    const at = terminal()
    const pulled = run(['--socket', path, 'pull', 'r.example/app:1'], depsWith(), at.io)
    const pull = await driven.next()
    at.interrupt(name)
    expect(await pulled).toBe(code)
    expect(at.stderr()).toBe('')
    await expect.poll(() => pull.signal.aborted).toBe(true)
  })

  test('no daemon: what to do about it', async () => {
    const socket = join('/tmp', `windlass-none-${process.pid}.sock`)
    const { code, stderr } = await windlass(['--socket', socket, 'pull', 'x'], depsWith())
    expect(code).toBe(1)
    expect(stderr).toContain(`no daemon answers on ${socket}`)
    expect(stderr).toContain('--root DIR')
  })
})

describe('the history of a daemon', () => {
  test('that is empty says so on stderr, and is an empty list as JSON', async () => {
    const { call } = await start()
    const none = 'no pulls of r.example/app are on record\n'
    expect(await call(['history', 'r.example/app'])).toEqual({ code: 0, stdout: '', stderr: none })
    expect(await call(['history'])).toEqual({ code: 0, stdout: '', stderr: 'no pulls are on record\n' })
    expect(await call(['-o', 'json', 'history', 'r.example/app'])).toEqual({ code: 0, stdout: '[]\n', stderr: '' })
  })
})

describe('images of a daemon', () => {
  test('as a table, by id, as JSON', async () => {
    const { call } = await start(app, byDigest)
    expect((await call(['images', '--digests'])).stdout.split('\n').map((line) => line.split(/\s{2,}/))).toEqual([
      ['IMAGE', 'TAG', 'DIGEST', 'IMAGE ID', 'SIZE'],
      ['r.example/app', '1', `sha256:${'d'.repeat(64)}`, app.id.slice(7, 19), bytes(app.size)],
      ['r.example/app', '2', `sha256:${'d'.repeat(64)}`, app.id.slice(7, 19), bytes(app.size)],
      ['r.example/bare', '<none>', `sha256:${'e'.repeat(64)}`, byDigest.id.slice(7, 19), `${bytes(byDigest.size)} (pinned)`],
      [''],
    ])
    expect((await call(['images', '-q'])).stdout).toBe(`${app.id}\n${byDigest.id}\n`)
    expect(JSON.parse((await call(['images', '-o', 'json'])).stdout)[0]).toMatchObject({
      id: app.id,
      tags: app.tags,
      pinned: false,
    })
  })

  test('inspect: who pulled it, when, from whom, and that what was before is not known', async () => {
    const { call } = await start(app)
    const { stdout } = await call(['inspect', 'r.example/app:1'])
    expect(stdout.split('\n').filter((line) => line.startsWith('Receipt'))).toEqual([
      expect.stringMatching(/^Receipt +2023-11-14T22:13:20\.000Z cafe from m\\u\{9b\}\.example: r\.example\/app@sha256:1$/),
      expect.stringMatching(/^Receipt +who pulled it before is not on record, or was lost$/),
    ])
  })

  test('rmi: a tag, then what is not there', async () => {
    const { call } = await start(app)
    expect(await call(['rmi', 'r.example/app:1'])).toMatchObject({ code: 0, stdout: 'untagged r.example/app:1\n' })
    const { code, stdout, stderr } = await call(['rmi', 'r.example/gone:1', app.id])
    expect({ code, stdout }).toMatchObject({ code: 1, stdout: expect.stringContaining(`removed  ${app.id}`) })
    expect(stderr).toBe('windlass: image r.example/gone:1 is not here; windlass images lists what is\n')
    expect((await call(['rmi', 'r.example/gone:1', 'r.example/too:1'])).stderr).toMatch(/images .*gone:1, .*too:1 are not here/)
    expect(await call(['rmi', '-i', 'r.example/gone:1'])).toMatchObject({ code: 0, stderr: '' })
  })

  test('plan says what would come', async () => {
    const { call } = await start()
    const { code, stdout } = await call(['plan', 'app'])
    expect(code).toBe(0)
    expect(stdout).toContain('docker.io/library/app:latest')
    expect(stdout).toMatch(/2 +\w{12} +1 kB +to fetch/)
    const document = JSON.parse((await call(['-o', 'json', 'plan', '--platform', 'arm64', 'app'])).stdout)
    expect(document.platform).toBe('linux/arm64')
  })

  test('version names the daemon', async () => {
    const { call } = await start()
    expect((await call(['version'])).stdout).toContain(`daemon    1.2.3 (pid ${process.pid}, root /store)`)
  })
})

describe('ps', () => {
  const pulling = (): PullStatus => ({
    id: 'ab12cd34',
    reference: 'r.example/app:1',
    platform: { os: 'linux', architecture: 'amd64' },
    clients: ['cri', 'cri', 'cli'],
    startedAt: new Date(Date.now() - 65_000),
    phase: 'pulling',
    layers: [
      { digest: app.id, size: 1_000_000, state: 'done', bytes: 1_000_000 },
      { digest: app.id, size: 3_000_000, state: 'downloading', bytes: 500_000 },
    ],
  })

  test('once', async () => {
    const { call, driven } = await start()
    driven.show([pulling()])
    const [, row = ''] = (await call(['ps'])).stdout.split('\n')
    expect(row.split(/\s{2,}/)).toEqual([
      'ab12cd34',
      'r.example/app:1',
      'linux/amd64',
      'pulling',
      '1/2',
      '1.5 MB / 4 MB',
      expect.stringMatching(/^1m0\ds$/),
      'cri ×2, cli',
    ])
  })

  test('--watch goes on until SIGINT', async () => {
    const { path, driven } = await start()
    const at = terminal()
    const watching = run(['--socket', path, 'ps', '--watch', '-o', 'json'], depsWith(), at.io)
    await expect.poll(at.stdout).toContain('[]\n')
    driven.show([pulling()])
    await expect.poll(at.stdout).toContain('"phase":"pulling"')
    at.interrupt('SIGINT')
    expect(await watching).toBe(130)
    expect(at.stderr()).toBe('')
  })

  test('--watch in YAML: a document each time, platforms as text', async () => {
    const { path, driven } = await start()
    const at = terminal()
    const watching = run(['--socket', path, 'ps', '--watch', '-o', 'yaml'], depsWith(), at.io)
    await expect.poll(at.stdout).toContain('---\n[]\n')
    driven.show([pulling()])
    await expect.poll(at.stdout).toContain('platform: linux/amd64')
    at.interrupt('SIGINT')
    expect(await watching).toBe(130)
    expect(parseAllDocuments(at.stdout())).toHaveLength(2)
  })
})
