import { createHash } from 'node:crypto'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { run } from '../../src/cli/run.ts'
import { createControlService } from '../../src/control/control-service.ts'
import { createCollector } from '../../src/gc/gc.ts'
import { mediaTypes } from '../../src/oci/oci.ts'
import { openLab } from '../pull/lab.ts'
import { housekeeperOver, startDaemon, testServices } from '../rpc/daemon.ts'
import { noHistory, noVerifier } from '../rpc/parts.ts'
import { buildImage, buildIndex } from '../support/image.ts'
import { depsWith, terminal, windlass } from './terminal.ts'

const isRoot = process.getuid?.() === 0
if (!isRoot) console.warn('skipped: pulling layers needs root')

const layer = { tar: [{ type: 'file', name: 'hello', content: 'hello' }] } as const
const amd64 = buildImage({
  layers: [layer],
  run: { Labels: { 'org.opencontainers.image.source': 'https://label.example', team: 'a\u009b2J' } },
  manifest: { annotations: { 'org.opencontainers.image.source': 'https://manifest.example', odd: '\u009b2J' } },
})
const arm64 = buildImage({ layers: [layer], platform: { os: 'linux', architecture: 'arm64' } })
const i386 = buildImage({ layers: [layer], platform: { os: 'linux', architecture: '386' } })
const chart = buildImage({
  layers: [layer],
  manifest: { config: { mediaType: 'application/x-chart', digest: arm64.id, size: 2 } },
})
const entry = ({ descriptor }: typeof amd64, annotations = {}) => ({ ...descriptor, annotations })
const attestation = {
  mediaType: mediaTypes.ociManifest,
  digest: `sha256:${'a'.repeat(64)}`,
  size: 10,
  platform: { os: 'unknown', architecture: 'unknown' },
}
const index = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [entry(arm64), entry(amd64, { 'org.opencontainers.image.ref.name': 'one' }), attestation],
    annotations: { 'org.opencontainers.image.title': 'all of it' },
  }),
)
const digestOf = (content: string | Buffer): string => `sha256:${createHash('sha256').update(content).digest('hex')}`

async function open() {
  const lab = await openLab()
  const request = lab.publish('app:1', amd64)
  lab.publish('only-arm:1', arm64)
  lab.publish('app:arm', arm64)
  lab.publish('chart:1', chart)
  lab.publish('both:1', buildIndex([i386, amd64]))
  lab.registry.putManifest('app', '1', index, mediaTypes.ociIndex)
  const { puller, looker, store } = lab
  const collector = createCollector(store)
  const node = { puller, looker, store, collector, housekeeper: housekeeperOver(store), verifier: noVerifier, history: noHistory }
  return { lab, request, node, name: `${lab.registry.host}/app:1` }
}

/** The same commands, of a daemon and without one. */
async function remote() {
  const opened = await open()
  onTestFinished(() => opened.lab[Symbol.asyncDispose]())
  const { services } = testServices()
  const control = createControlService({
    node: () => opened.node,
    log: { info: () => {}, warn: () => {} },
    root: opened.lab.root,
    platform: { os: 'linux', architecture: 'amd64' },
    version: '1.2.3',
  })
  const daemon = await startDaemon({ ...services, windlass: control })
  onTestFinished(() => daemon[Symbol.asyncDispose]())
  return { ...opened, where: ['--socket', daemon.path], deps: depsWith() }
}

async function embedded() {
  const opened = await open()
  onTestFinished(() => opened.lab[Symbol.asyncDispose]())
  const openEmbedded = async () => ({ ...opened.node, [Symbol.asyncDispose]: async () => {} })
  return { ...opened, where: ['--root', opened.lab.root], deps: depsWith({ openEmbedded }) }
}

describe.skipIf(!isRoot).each([
  ['through a daemon', remote],
  ['without a daemon', embedded],
])('%s', (_, start) => {
  test('manifest: the bytes of the registry unchanged, whichever part is asked for', async () => {
    const { where, deps, name } = await start()
    const call = (...args: string[]) => windlass([...where, ...args], deps)
    const root = await call('manifest', name)
    expect(root).toEqual({ code: 0, stdout: index.toString(), stderr: '' })
    expect((await call('manifest', '--digest', name)).stdout).toBe(`${digestOf(root.stdout)}\n`)
    const arm = await call('manifest', '--platform', 'linux/arm64', name)
    expect(digestOf(arm.stdout)).toBe(arm64.descriptor.digest)
    expect((await call('manifest', '--digest', '--platform', 'linux/arm64', name)).stdout).toBe(`${arm64.descriptor.digest}\n`)
    expect(digestOf((await call('manifest', '--image-config', name)).stdout)).toBe(amd64.id)
    const json = JSON.parse((await call('-o', 'json', 'manifest', name)).stdout)
    expect(json).toMatchObject({ digest: digestOf(index), size: index.length, document: JSON.parse(index.toString()) })
    expect(parse((await call('-o', 'yaml', 'manifest', name)).stdout)).toEqual(json)
  })

  test('manifest --annotations: of index, entry and manifest, beside the labels', async () => {
    const { where, deps, name } = await start()
    const shown = await windlass([...where, 'manifest', '--annotations', name], deps)
    expect(shown.stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['NAME', 'OF', 'VALUE'],
      ['org.opencontainers.image.ref.name', 'entry', 'one'],
      ['org.opencontainers.image.source', 'manifest', 'https://manifest.example'],
      ['org.opencontainers.image.source', 'label', 'https://label.example'],
      ['org.opencontainers.image.title', 'index', 'all of it'],
      ['odd', 'manifest', '\\u{9b}2J'],
      ['team', 'label', 'a\\u{9b}2J'],
      [''],
    ])
    const json = JSON.parse((await windlass([...where, '-o', 'json', 'manifest', '--annotations', name], deps)).stdout)
    expect(json).toMatchObject({ index: { 'org.opencontainers.image.title': 'all of it' }, labels: { team: 'a\u009b2J' } })
  })

  test('on a terminal nothing of a manifest reaches it that it would obey', async () => {
    const { where, deps, name } = await start()
    const at = terminal({ tty: { columns: 80, rows: 24 } })
    expect(await run([...where, 'manifest', '--platform', 'linux/amd64', name], deps, at.io)).toBe(0)
    expect(at.stdout()).not.toContain('\u009b')
    expect(JSON.parse(at.stdout())).toEqual(JSON.parse(amd64.bytes.toString()))
  })

  test('platforms: in the order of the index, this node marked', async () => {
    const { where, deps, name, lab } = await start()
    const { stdout, stderr } = await windlass([...where, 'platforms', name], deps)
    expect(stdout.split('\n').map((line) => line.trimEnd())).toEqual([
      expect.stringMatching(/^ +PLATFORM +MANIFEST +SIZE$/),
      expect.stringMatching(new RegExp(`^ +linux/arm64 +${arm64.descriptor.digest} +\\d+ B$`)),
      expect.stringMatching(new RegExp(`^\\* +linux/amd64 +${amd64.descriptor.digest} +\\d+ B$`)),
      '',
    ])
    expect(stderr).toBe('and 1 attestation, which are no images\n')
    const json = JSON.parse((await windlass([...where, '-o', 'json', 'platforms', name], deps)).stdout)
    expect(json).toMatchObject({
      nodePlatform: 'linux/amd64',
      attestations: 1,
      platforms: [{ fit: 'foreign' }, { fit: 'chosen' }],
    })
    const also = await windlass([...where, 'platforms', `${lab.registry.host}/both:1`], deps)
    expect(also.stdout.split('\n').map((line) => line.slice(0, 16).trimEnd())).toEqual([
      '    PLATFORM',
      '+   linux/386',
      '*   linux/amd64',
      '',
    ])
    const only = await windlass([...where, 'platforms', `${lab.registry.host}/only-arm:1`], deps)
    expect(only).toMatchObject({ code: 0, stderr: 'none of these is for this node, linux/amd64\n' })
    expect(only.stdout).toContain('linux/arm64')
  })

  test('--local: what is here, without asking anybody; by an id too', async () => {
    const { where, deps, name, lab, request } = await start()
    const call = (...args: string[]) => windlass([...where, ...args], deps)
    expect(await call('manifest', '--local', name)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/is not here; windlass images/),
    })
    const { id } = await lab.pull(request)
    const asked = lab.registry.requests.length
    expect(await call('manifest', '--local', name)).toEqual({ code: 0, stdout: index.toString(), stderr: '' })
    expect(digestOf((await call('manifest', '--local', '--image-config', id)).stdout)).toBe(id)
    expect((await call('manifest', '--local', '--annotations', name)).stdout).toContain('https://label.example')
    const byDigest = `${lab.registry.host}/app@${digestOf(index)}`
    expect((await call('manifest', '--local', '--digest', byDigest)).stdout).toBe(`${digestOf(index)}\n`)
    expect((await call('platforms', '--local', id.slice(0, 20))).stdout).toMatch(/^\* +linux\/amd64/m)
    const missing = await call('manifest', '--local', '--platform', 'linux/arm64', name)
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringMatching(/only linux\/amd64 of .* is here; without --local/) })
    expect(lab.registry.requests.length).toBe(asked)
  })

  test('refusals say what to do', async () => {
    const { where, deps, name, lab } = await start()
    const call = (...args: string[]) => windlass([...where, ...args], deps)
    const refusals: [string[], number, RegExp][] = [
      [['manifest', amd64.id], 2, /add --local/],
      [['manifest', '--platform', 'linux/s390x', name], 1, /no image for linux\/s390x; it offers linux\/arm64, linux\/amd64/],
      [['manifest', '--image-config', `${lab.registry.host}/only-arm:1`], 1, /no image for linux\/amd64; it offers linux\/arm64/],
      [['manifest', '--platform', 'a/b/c/d', name], 2, /want at most os\/architecture\/variant/],
      [['manifest', '--digest', '--annotations', name], 2, /cannot be used with/],
      [['platforms', `${lab.registry.host}/chart:1`], 1, /chart:1: unsupported artifact application\/x-chart: /],
      [['platforms', `${lab.registry.host}/none:1`], 1, /not found \(127\.0\.0\.1:\d+: 404/],
    ]
    for (const [args, code, words] of refusals)
      expect(await call(...args)).toMatchObject({ code, stderr: expect.stringMatching(words) })
  })
})
