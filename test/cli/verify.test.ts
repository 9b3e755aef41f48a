/** `verify`, through a daemon and without one, over images that were pulled; and what other commands say of what it found. */
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { run } from '../../src/cli/run.ts'
import { createControlService } from '../../src/control/control-service.ts'
import { createImageService } from '../../src/cri/image-service.ts'
import { fail } from '../../src/failure/failure.ts'
import { createCollector } from '../../src/gc/gc.ts'
import { silent } from '../../src/pull/log.ts'
import { createLayerVerifier } from '../../src/verify/layer-verifier.ts'
import type { LayerVerifier } from '../../src/verify/verify.ts'
import { openLab } from '../pull/lab.ts'
import { housekeeperOver, startDaemon, testServices } from '../rpc/daemon.ts'
import { noHistory } from '../rpc/parts.ts'
import { buildImage, buildLayer } from '../support/image.ts'
import { describeTree } from '../support/victim.ts'
import { depsWith, terminal, windlass } from './terminal.ts'

const { signal } = new AbortController()
const isRoot = process.getuid?.() === 0
const log = { info: () => {}, warn: () => {} }
const base = buildLayer({
  tar: [
    { name: 'etc/', type: 'dir' },
    { name: 'etc/passwd', content: 'root:x:0:0\n' },
  ],
})
const top = buildLayer({ tar: [{ name: 'top', content: 'top' }] })

/** Two layers, pulled; `diffs` are their trees. */
async function pulled() {
  await using stack = new AsyncDisposableStack()
  const lab = stack.use(await openLab())
  const { puller, store } = lab
  const collector = createCollector(store)
  const verifier = createLayerVerifier({ store, verifier: lab.unpacker, log: silent })
  const node = {
    puller,
    looker: lab.looker,
    history: noHistory,
    store,
    collector,
    housekeeper: housekeeperOver(store, collector),
    verifier,
  }
  const request = lab.publish('app:1', buildImage({ layers: [base, top] }))
  const { id } = await lab.pull(request)
  const layers = await Promise.all(((await store.find(id))?.layerIds ?? []).map((each) => store.layer(each)))
  const diffs = layers.map((layer) => layer?.diff ?? expect.fail('there is no such layer'))
  const held = stack.move()
  const name = `${lab.registry.host}/app:1`
  return { lab, node, request, id, name, diffs, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

async function remote() {
  await using stack = new AsyncDisposableStack()
  const { node, ...here } = stack.use(await pulled())
  const platform = { os: 'linux', architecture: 'amd64' }
  const daemon = stack.use(
    await startDaemon({
      ...testServices().services,
      image: createImageService({ ...node, log }),
      windlass: createControlService({ node: () => node, log, root: here.lab.root, platform, version: '1.2.3' }),
    }),
  )
  const held = stack.move()
  return {
    ...here,
    client: daemon.client,
    where: ['--socket', daemon.path],
    deps: depsWith(),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

async function embedded() {
  const { node, ...here } = await pulled()
  const openEmbedded = async () => ({ ...node, [Symbol.asyncDispose]: async () => {} })
  return { ...here, client: undefined, where: ['--root', here.lab.root], deps: depsWith({ openEmbedded }) }
}

describe.skipIf(!isRoot).each([
  ['through a daemon', remote],
  ['without one', embedded],
] as const)('%s', (_how, open) => {
  test('what is sound is said to be', async () => {
    await using here = await open()
    const { code, stdout, stderr } = await windlass([...here.where, 'verify'], here.deps)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^LAYER +SIZE +RESULT +IMAGES$/),
      expect.stringMatching(/^[0-9a-f]{12} +2\.56 kB +sound +127\.0\.0\.1:\d+\/app:1$/),
      expect.stringMatching(/^[0-9a-f]{12} +2\.05 kB +sound +127\.0\.0\.1:\d+\/app:1$/),
      '',
    ])
    expect((await windlass([...here.where, 'images'], here.deps)).stdout).not.toContain('damaged')
  })

  test('what differs is named, and shown by other commands until it is mended', async () => {
    await using here = await open()
    rmSync(join(here.diffs[0] ?? '', 'etc/passwd'))
    chmodSync(join(here.diffs[1] ?? '', 'top'), 0o4755)
    const { code, stdout, stderr } = await windlass([...here.where, 'verify', here.name], here.deps)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^damaged {4}layer \w{12}: 1 difference\n/m)
    expect(stderr).toMatch(/^windlass: 2 layers are damaged; windlass verify --repair brings them again$/m)
    expect(stdout).toMatch(/damaged: 2 differences/)
    expect(stdout).toMatch(/^ {2}missing +etc\/passwd: a file is missing$/m)
    expect(stdout).toMatch(/^ {2}mode +top: mode 04755, and 0644 in the layer$/m)
    expect((await windlass([...here.where, 'images'], here.deps)).stdout).toMatch(/ \(damaged\)$/m)
    const images = JSON.parse((await windlass([...here.where, '-o', 'json', 'images'], here.deps)).stdout)
    expect(images).toMatchObject([{ id: here.id, damaged: true }])
    const inspected = await windlass([...here.where, 'inspect', here.name], here.deps)
    expect(inspected.stdout).toMatch(/^layer 1 is damaged \(20.*Z\): 2 differences, first /m)
    const detail = JSON.parse((await windlass([...here.where, '-o', 'json', 'inspect', here.name], here.deps)).stdout)
    expect(detail.layers[1].damage).toMatchObject({ differences: 1, first: 'top: mode 04755, and 0644 in the layer' })
    await here.lab.pull(here.request)
    expect((await windlass([...here.where, 'images'], here.deps)).stdout).not.toContain('damaged')
    expect((await windlass([...here.where, 'inspect', here.name], here.deps)).stdout).not.toContain('damaged')
  })

  test('a repair brings it again, as a program is told', async () => {
    await using here = await open()
    writeFileSync(join(here.diffs[0] ?? '', 'etc/passwd'), 'evil:x:0:0\n')
    const { code, stdout, stderr } = await windlass([...here.where, '-o', 'json', 'verify', '--repair'], here.deps)
    expect(code).toBe(0)
    expect(stderr).toMatch(/^repair {5}127\.0\.0\.1:\d+\/app:1$/m)
    expect(JSON.parse(stdout)).toMatchObject({
      layers: [
        { outcome: 'sound', digest: 'equal', repaired: true, differences: [], images: [here.name] },
        { outcome: 'sound', repaired: false },
      ],
      failedRepairs: [],
    })
    expect(readFileSync(join(here.diffs[0] ?? '', 'etc/passwd'), 'utf8')).toBe('root:x:0:0\n')
  })

  test('a repair that fails says why', async () => {
    await using here = await open()
    rmSync(join(here.diffs[0] ?? '', 'etc/passwd'))
    await here.lab.registry[Symbol.asyncDispose]()
    const { code, stderr } = await windlass([...here.where, 'verify', '--repair'], here.deps)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^failed {5}to bring 127\.0\.0\.1:\d+\/app:1 again by digest: .*refused/m)
    expect(stderr).toMatch(/^windlass: 1 layer is still damaged: the lines that begin with failed say why; mend that, /m)
    expect(stderr).not.toContain('brings')
  })

  test('an image is named by all its tags, whatever they were pulled in', async () => {
    await using here = await open()
    await here.lab.pull(here.lab.publish('zoo:1', buildImage({ layers: [base, top] })))
    await here.lab.pull(here.lab.publish('abc:1', buildImage({ layers: [base, top] })))
    const names = ['abc:1', 'app:1', 'zoo:1'].map((name) => `${here.lab.registry.host}/${name}`)
    const report = JSON.parse((await windlass([...here.where, '-o', 'json', 'verify'], here.deps)).stdout)
    expect(report.layers.map(({ images }: { images: string[] }) => images)).toEqual([names, names])
    const [thing] = JSON.parse((await windlass([...here.where, '-o', 'json', 'why', base.diffId], here.deps)).stdout)
    expect(thing.holds).toEqual([{ kind: 'image', detail: names.join(', ') }])
  })

  test('credentials are for a repair, and for one image', async () => {
    await using here = await open()
    const alone = await windlass([...here.where, 'verify', '--creds', 'u:p'], here.deps)
    expect([alone.code, alone.stderr]).toEqual([2, expect.stringContaining('only --repair asks a registry')])
    const many = await windlass([...here.where, 'verify', '--repair', '--creds', 'u:p'], here.deps)
    expect(many.stderr).toContain('name one image')
    const one = await windlass([...here.where, 'verify', '--repair', '--creds', 'u:p', here.id], here.deps)
    expect(one.code).toBe(0)
    const file = join(here.lab.root, 'auth.json')
    for (const [args, reason] of [
      [['--authfile', file, here.id], 'only --repair asks a registry'],
      [['--repair', '--authfile', file], 'invalid --authfile: its login is for one registry: name one image'],
      [['--repair', '--authfile', file, '--creds', 'u:p', here.id], 'give it or --creds, not both'],
    ] as const) {
      const { code, stderr } = await windlass([...here.where, 'verify', ...args], here.deps)
      expect([code, stderr]).toEqual([2, expect.stringContaining(reason)])
    }
  })

  test('what is not here is an error', async () => {
    await using here = await open()
    const { code, stderr } = await windlass([...here.where, 'verify', 'a.test/none:1'], here.deps)
    expect([code, stderr]).toEqual([1, expect.stringContaining('a.test/none:1 is not here')])
  })
})

test.skipIf(!isRoot)('a repair logs in as the file says that is named', async () => {
  await using here = await pulled()
  const file = join(here.lab.root, 'auth.json')
  const auth = Buffer.from('named:n').toString('base64')
  writeFileSync(file, JSON.stringify({ auths: { [here.lab.registry.host]: { auth } } }))
  const pulls = vi.spyOn(here.node.puller, 'pull')
  const deps = depsWith({ openEmbedded: async () => ({ ...here.node, [Symbol.asyncDispose]: async () => {} }) })
  for (const image of [here.name, here.id.slice(7, 19)]) {
    rmSync(join(here.diffs[0] ?? '', 'etc/passwd'))
    const args = ['--root', here.lab.root, 'verify', '--repair', '--authfile', file, image]
    expect(await windlass(args, deps)).toMatchObject({ code: 0 })
  }
  const named = { kind: 'basic', username: 'named', password: 'n' }
  expect(pulls.mock.calls.map(([{ credentials }]) => credentials)).toEqual([named, named])
})

test.skipIf(!isRoot)('a pull through CRI, as kubelet makes it, heals: the tree is what was packed', async () => {
  await using here = await remote()
  const packed = here.diffs.map(describeTree)
  writeFileSync(join(here.diffs[0] ?? '', 'etc/passwd'), Buffer.alloc(11))
  expect((await windlass([...here.where, 'verify'], here.deps)).code).toBe(1)
  const { imageRef } = await here.client.image.pullImage({ image: { image: here.name } }, { signal })
  expect(imageRef).toBe(here.id)
  const timeless = (lines: readonly string[] | undefined): string[] => (lines ?? []).slice(1)
  expect(here.diffs.map((diff) => timeless(describeTree(diff)))).toEqual(packed.map(timeless))
  expect((await windlass([...here.where, 'verify'], here.deps)).code).toBe(0)
  expect([base, top].map(({ descriptor }) => here.lab.registry.blobGets(descriptor.digest))).toEqual([2, 1])
})

test('a daemon whose pull path is closed knows of no damage, and lists images all the same', async () => {
  const platform = { os: 'linux', architecture: 'amd64' }
  const node = (): never => fail({ kind: 'passthrough', reason: 'it is being opened' })
  const services = {
    ...testServices().services,
    windlass: createControlService({ node, log, root: '/s', platform, version: '1' }),
  }
  await using daemon = await startDaemon(services)
  const listed = await windlass(['--socket', daemon.path, 'images'], depsWith())
  expect(listed).toMatchObject({ code: 0, stderr: '' })
  const verified = await windlass(['--socket', daemon.path, 'verify'], depsWith())
  expect(verified).toMatchObject({ code: 1, stderr: expect.stringContaining('it is being opened') })
})

test('on a terminal it shows how far it is, and leaves when interrupted', async () => {
  const begun = Promise.withResolvers<void>()
  const verifier: LayerVerifier = {
    finishRepairs: async () => {},
    verify: async (_request, { signal: leaving, onEvent }) => {
      const layer = { layerId: 'a'.repeat(64), diffId: base.diffId, bytes: 2_000_000, images: ['a.test/app:1'] }
      onEvent(JSON.parse(JSON.stringify({ type: 'planned', layers: [layer] })))
      onEvent({ type: 'progress', layer: 0, bytes: 1_000_000 })
      begun.resolve()
      await new Promise((_resolve, reject) => leaving.addEventListener('abort', () => reject(leaving.reason)))
    },
  }
  await using lab = await openLab()
  const { puller, store } = lab
  const collector = createCollector(store)
  const node = {
    puller,
    looker: lab.looker,
    history: noHistory,
    store,
    collector,
    housekeeper: housekeeperOver(store, collector),
    verifier,
  }
  const at = terminal({ tty: { columns: 80, rows: 24 }, env: { TERM: 'xterm' } })
  const deps = depsWith({ openEmbedded: async () => ({ ...node, [Symbol.asyncDispose]: async () => {} }) })
  const code = run(['--root', lab.root, 'verify'], deps, at.io)
  await begun.promise
  await expect.poll(at.stderr).toContain('0 of 1 layer, 1 MB of 2 MB')
  at.interrupt('SIGINT')
  expect(await code).toBe(130)
})
