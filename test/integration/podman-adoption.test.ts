/** podman builds on our layers, in images and containers of its own: what is used stays, and goes when it is not. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Abortable } from '../../src/task/task.ts'
import { startDockerRegistry } from '../registry/docker-registry.ts'
import { type BuiltImage, buildImage, buildLayer } from '../support/image.ts'
import type { TarPart } from '../support/tar.ts'
import { lacking } from './lacking.ts'
import { startNode, type TestNode } from './node.ts'
import { type Podman, privatePodman, recordsIn } from './podman.ts'
import { push } from './push.ts'

const needs = ['root', 'docker-registry', 'podman', 'runc', 'busybox'] as const
const here = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' } as const
const system = (): readonly TarPart[] => [
  { name: 'bin/', type: 'dir' },
  { name: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755 },
  ...['sh', 'cat', 'sleep'].map((name): TarPart => ({ name: `bin/${name}`, type: 'symlink', link: 'busybox' })),
  { name: 'etc/', type: 'dir' },
  { name: 'etc/version', content: 'base' },
]
const base = buildLayer({ tar: lacking(...needs) ? [] : system() })
const file = (name: string, content = name) => buildLayer({ tar: [{ name, content }] })
const image = (...layers: readonly ReturnType<typeof file>[]): BuiltImage =>
  buildImage({ platform: here, run: { Cmd: ['/bin/sh'], Env: ['PATH=/bin'] }, layers })

/** A daemon whose storage.conf names the graph root of a podman that reads its store, and a registry to pull from. */
async function startPair({ signal }: Abortable): Promise<
  AsyncDisposable & {
    readonly node: TestNode
    readonly podman: Podman
    /** Pushes an image and gives its reference. */
    publish(name: string, what: BuiltImage): Promise<string>
    /** Has podman pull it from the registry. */
    podmanPulls(reference: string): Promise<string>
    /** Removes an image of ours. */
    remove(reference: string): Promise<void>
    /** The layers in our graph. */
    layers(): readonly string[]
  }
> {
  await using resources = new AsyncDisposableStack()
  const registry = resources.use(await startDockerRegistry())
  const node = resources.use(
    await startNode({
      signal,
      envIn: (dir) => {
        const conf = join(dir, 'storage.conf')
        writeFileSync(conf, `[storage]\ndriver = "overlay"\ngraphroot = "${join(dir, 'podman', 'graph')}"\n`)
        return { CONTAINERS_STORAGE_CONF: conf }
      },
    }),
  )
  const podman = privatePodman(node.at('podman'), node.windlass.root, { signal })
  const owned = resources.move()
  return {
    node,
    podman,
    publish: async (name, what) => {
      await push({ host: registry.host, repository: `test/${name}` }, '1', what)
      return `${registry.host}/test/${name}:1`
    },
    podmanPulls: (reference) => podman.podman('pull', '--quiet', '--tls-verify=false', reference),
    remove: async (reference) => void (await node.windlass.cri.image.removeImage({ image: { image: reference } }, { signal })),
    layers: () => readdirSync(join(node.windlass.root, 'overlay')).filter((name) => name !== 'l'),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

const ownLayers = ({ root }: Podman) => recordsIn(root, 'overlay-layers/layers.json')

describe.skipIf(lacking(...needs))('layers of ours that podman has built on', () => {
  it('stay while an image or a container of podman needs them, and go at the collection after', async ({ signal }) => {
    await using pair = await startPair({ signal })
    const { node, podman, layers } = pair
    const [ours, theirs] = [image(base, file('ours')), image(base, file('theirs'))]
    const [first, second] = [await pair.publish('ours', ours), await pair.publish('theirs', theirs)]
    await node.pull(first, { signal })
    const [top = ''] = layers().filter((id) => id !== base.diffId.slice(7))

    await pair.podmanPulls(second)
    const [own] = [...ownLayers(podman).values()]
    // podman fetched its own layer alone, and put it above ours.
    expect([...ownLayers(podman)]).toHaveLength(1)
    expect(own).toMatchObject({ parent: base.diffId.slice(7), 'diff-digest': theirs.layers[1]?.diffId })
    const container = (await podman.podman('run', '--detach', second, 'sleep', '1000')).trim()
    await pair.remove(first)
    expect(layers()).toEqual([base.diffId.slice(7)])
    expect(layers()).not.toContain(top)
    expect(await podman.podman('exec', container, 'cat', '/etc/version', '/theirs')).toBe('basetheirs')

    // A container that is only made, not mounted, needs them as well.
    await podman.podman('rm', '--force', '--time=0', container)
    const made = (await podman.podman('create', second, 'cat', '/etc/version')).trim()
    await collect(pair, signal)
    expect(layers()).toEqual([base.diffId.slice(7)])
    expect(await podman.podman('start', '--attach', made)).toBe('base')
    await podman.podman('rm', made)
    await podman.podman('rmi', second)
    await collect(pair, signal)
    expect(layers()).toEqual([])
    expect(node.windlass.daemon.output().match(/another store does/g)).toHaveLength(1)
  })

  it('stay while podman has an image that is nothing but ours, or a container made from ours', async ({ signal }) => {
    await using pair = await startPair({ signal })
    const { node, podman, layers } = pair
    const reference = await pair.publish('ours', image(base, file('ours')))
    await node.pull(reference, { signal })
    const all = layers()
    // Everything is here already: podman makes a record of an image, and no layer.
    await pair.podmanPulls(reference)
    const container = (await podman.podman('create', reference, 'cat', '/ours')).trim()
    await pair.remove(reference)
    expect(layers()).toEqual(all)
    expect(await podman.podman('start', '--attach', container)).toBe('ours')
    await podman.podman('rm', container)
    await collect(pair, signal)
    expect(layers()).toEqual(all)
    expect(await podman.inContainer(reference, 'cat', '/ours')).toBe('ours')
    await podman.podman('rmi', reference)
    await collect(pair, signal)
    expect(layers()).toEqual([])
  })

  it('are replaced where they are damaged, below an image and a container of podman, but not while one runs', async ({
    signal,
  }) => {
    await using pair = await startPair({ signal })
    const { node, podman } = pair
    await node.pull(await pair.publish('ours', image(base, file('ours'))), { signal })
    const second = await pair.publish('theirs', image(base, file('theirs')))
    await pair.podmanPulls(second)
    const running = (await podman.podman('run', '--detach', second, 'sleep', '1000')).trim()
    const version = join(node.windlass.root, 'overlay', base.diffId.slice(7), 'diff/etc/version')
    writeFileSync(version, 'evil')
    const repair = async (): Promise<{ readonly outcomes: readonly string[]; readonly reasons: readonly string[] }> => {
      const [outcomes, reasons]: [string[], string[]] = [[], []]
      for await (const { layer, repairFailed } of node.windlass.cri.windlass.verify({ repair: true }, { signal })) {
        if (layer) outcomes[layer.layer] = layer.outcome
        if (repairFailed) reasons.push(repairFailed.reason)
      }
      return { outcomes, reasons }
    }
    const refused = await repair()
    expect(refused.outcomes.toSorted()).toEqual(['damaged', 'sound'])
    expect(refused.reasons).toEqual([expect.stringMatching(/cannot be replaced while it is mounted \(.*\/merged\)/)])
    await podman.podman('rm', '--force', '--time=0', running)
    const made = (await podman.podman('create', second, 'cat', '/etc/version')).trim()
    expect(await repair()).toEqual({ outcomes: ['sound', 'sound'], reasons: [] })
    expect(await podman.podman('start', '--attach', made)).toBe('base')
    await podman.podman('rm', made)
    expect(await podman.inContainer(second, 'cat', '/theirs')).toBe('theirs')
  })

  it('are sound when podman copies them above another base', async ({ signal }) => {
    await using pair = await startPair({ signal })
    const { node, podman } = pair
    const shared = file('shared', 'x'.repeat(100_000))
    const [ours, theirs] = [image(base, shared), image(file('etc/other'), base, shared)]
    await node.pull(await pair.publish('ours', ours), { signal })
    const second = await pair.publish('theirs', theirs)
    await pair.podmanPulls(second)
    expect([...ownLayers(podman).values()].map((layer) => layer['diff-digest'])).toEqual(
      theirs.layers.map(({ diffId }) => diffId),
    )
    // Save checks every byte against the digests on record.
    await podman.podman('save', '--quiet', '--output', node.at('saved.tar'), second)
    const other = privatePodman(node.at('other'), undefined, { signal })
    await other.podman('load', '--quiet', '--input', node.at('saved.tar'))
    expect(JSON.parse(await other.podman('image', 'inspect', second))[0].RootFS.Layers).toEqual(
      theirs.layers.map(({ diffId }) => diffId),
    )
    expect(await podman.inContainer(second, 'cat', '/etc/version')).toBe('base')
  })

  it('stay, all of them, while what podman says of them cannot be understood', async ({ signal }) => {
    await using pair = await startPair({ signal })
    const { node, podman, layers } = pair
    await podman.podman('images')
    const reference = await pair.publish('ours', image(base, file('ours')))
    await node.pull(reference, { signal })
    const record = join(podman.root, 'overlay-layers', 'layers.json')
    writeFileSync(record, '[{"id":"torn')
    await pair.remove(reference)
    expect(layers()).toHaveLength(2)
    expect(node.windlass.daemon.output()).toMatch(/no layer is removed/)
    rmSync(record)
    await collect(pair, signal)
    expect(layers()).toEqual([])
  })
})

/** Has the daemon collect, as it does after every removal. */
async function collect({ node, publish, remove }: Awaited<ReturnType<typeof startPair>>, signal: AbortSignal): Promise<void> {
  const reference = await publish('passing', image(file('passing')))
  await node.pull(reference, { signal })
  await remove(reference)
}
