/** Debian's podman reads the store as it stands: what it lists, runs, saves and pushes, and that its own records would say the same. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { hexOf } from '../../src/oci/digest.ts'
import type { Compression } from '../../src/oci/oci.ts'
import { differences, readTree } from '../../src/prove/tree.ts'
import { startDockerRegistry } from '../registry/docker-registry.ts'
import { buildImage, buildIndex, buildLayer, type Flavour } from '../support/image.ts'
import type { TarPart } from '../support/tar.ts'
import { lacking } from './lacking.ts'
import { startNode } from './node.ts'
import { privatePodman, recordsIn } from './podman.ts'
import { mounted, run } from './process.ts'
import { push } from './push.ts'

const needs = ['root', 'docker-registry', 'podman', 'runc', 'busybox'] as const
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
const here = { os: 'linux', architecture } as const
const elsewhere = { os: 'linux', architecture: architecture === 'arm64' ? 'amd64' : 'arm64' } as const
/** A VFS_CAP_REVISION_2 capability (linux/capability.h): cap_net_raw, effective and permitted. */
const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')

/** A system that runs, and what layers do to each other; every layer is one podman unpacks too (it refuses a path given twice). */
const base = (): readonly TarPart[] => [
  { name: 'bin/', type: 'dir' },
  { name: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755 },
  ...['sh', 'cat', 'ls', 'stat', 'sleep', 'id'].map(
    (name): TarPart => ({ name: `bin/${name}`, type: 'symlink', link: 'busybox' }),
  ),
  { name: 'bin/su', content: 'setuid', mode: 0o4755 },
  { name: 'bin/ping', content: 'capable', mode: 0o755, xattrs: { 'security.capability': capability } },
  { name: 'tmp/', type: 'dir', mode: 0o1777 },
  { name: 'etc/', type: 'dir' },
  { name: 'etc/version', content: 'base' },
  { name: 'etc/gone', content: 'deleted above' },
  { name: 'srv/', type: 'dir', mode: 0o2775, uid: 1000, gid: 1001 },
  { name: 'opaque/', type: 'dir' },
  { name: 'opaque/old', content: 'hidden' },
  { name: 'linked-a', content: 'one file, two names' },
  { name: 'linked-b', type: 'hardlink', link: 'linked-a' },
]
const middle: readonly TarPart[] = [
  { name: 'etc/version', content: 'middle' },
  { name: 'etc/.wh.gone', content: '' },
  { name: 'opaque/', type: 'dir', mode: 0o711 },
  { name: 'opaque/.wh..wh..opq', content: '' },
  { name: 'opaque/new', content: 'the only one' },
  { name: 'tmp/implied', content: 'tmp stays 1777' },
]
const top: readonly TarPart[] = [{ name: 'srv/own', content: 'top', uid: 1000, gid: 1001, mode: 0o640 }]
const command = { Cmd: ['/bin/sh'], Env: ['PATH=/bin'] }

const system = (middleOne: Compression = 'gzip', flavour: Flavour = 'oci') =>
  buildImage({
    flavour,
    platform: here,
    run: command,
    layers: [
      buildLayer({ tar: base() }, flavour),
      buildLayer({ tar: middle, compression: middleOne }, flavour),
      buildLayer({ tar: top, compression: 'none' }, flavour),
    ],
  })

describe.skipIf(lacking(...needs))('podman, with our store as its additional image store,', () => {
  it('lists, inspects and runs an image, and sees the tree that we mount', async ({ signal }) => {
    await using registry = await startDockerRegistry()
    await using node = await startNode({ signal })
    const image = system()
    await push({ host: registry.host, repository: 'test/system' }, '1', image)
    const reference = `${registry.host}/test/system:1`
    await node.pull(reference, { signal })
    const { images, podman, inContainer } = privatePodman(node.at('podman'), node.windlass.root, { signal })

    expect(await images()).toEqual([`${reference} true`])
    const [inspected] = JSON.parse(await podman('image', 'inspect', reference))
    expect(inspected).toMatchObject({
      Id: hexOf(image.id),
      Digest: image.descriptor.digest,
      RepoTags: [reference],
      RootFS: { Layers: image.layers.map(({ diffId }) => diffId) },
    })
    expect(inspected.Size).toBeGreaterThan(image.layers.reduce((sum, { tar }) => sum + tar.length, 0) - 3 * 10_240)
    expect(await inContainer(reference, 'cat', '/etc/version')).toBe('middle')
    expect(await inContainer(hexOf(image.id), 'ls', '/etc/gone').catch(String)).toMatch(/\/etc\/gone: No such file/)
    expect(await inContainer(reference, 'ls', '/opaque')).toBe('new\n')
    expect(await inContainer(reference, 'stat', '-c', '%a', '/tmp', '/bin/su', '/srv')).toBe('1777\n4755\n2775\n')

    const container = (await podman('create', '--pull=never', reference)).trim()
    const theirs = (await podman('mount', container)).trim()
    await using _ours = await node.windlass.mount(reference, node.at('ours'), { signal })
    const [ourTree, theirTree] = [await readTree(node.at('ours'), { signal }), await readTree(theirs, { signal })]
    expect(ourTree.get('bin/ping')?.xattrs).toEqual([`security.capability=${capability.toString('hex')}`])
    // The root is the container's own directory.
    expect(differences(ourTree, theirTree).filter((line) => !line.startsWith('.: '))).toEqual([])
    await podman('rm', container)
    expect(await podman('rmi', reference).catch(String)).toMatch(/cannot remove read-only image/)
  })

  const kinds: readonly (readonly [Flavour, Compression, 'tag' | 'index' | 'digest'])[] = [
    ['oci', 'gzip', 'tag'],
    ['oci', 'zstd', 'tag'],
    ['oci', 'none', 'tag'],
    ['docker', 'gzip', 'tag'],
    ['oci', 'gzip', 'index'],
    ['docker', 'gzip', 'index'],
    ['oci', 'gzip', 'digest'],
  ]
  it.for(kinds)(
    'finds the records it would have written itself: %s, %s, by %s',
    async ([flavour, compression, by], { signal }) => {
      await using registry = await startDockerRegistry()
      await using node = await startNode({ signal })
      const image = system(compression, flavour)
      const other = buildImage({ flavour, platform: elsewhere, layers: [buildLayer({ tar: top }, flavour)] })
      await push(
        { host: registry.host, repository: 'test/it' },
        '1',
        by === 'index' ? buildIndex([other, image], flavour) : image,
      )
      const reference = `${registry.host}/test/it${by === 'digest' ? `@${image.descriptor.digest}` : ':1'}`
      await node.pull(reference, { signal })
      const theirs = privatePodman(node.at('theirs'), undefined, { signal })
      await theirs.podman('pull', '--quiet', '--tls-verify=false', reference)

      for (const file of ['overlay-layers/layers.json', 'overlay-images/images.json'] as const) {
        const [ours, wanted] = [recordsIn(node.windlass.root, file), recordsIn(theirs.root, file)]
        expect([...ours.keys()]).toEqual([...wanted.keys()])
        for (const [id, record] of wanted) expect(comparable(ours.get(id)), `${file} ${id}`).toEqual(comparable(record))
      }
      const documents = (root: string) => {
        const dir = join(root, 'overlay-images', hexOf(image.id))
        return Object.fromEntries(readdirSync(dir).map((name) => [name, readFileSync(join(dir, name), 'utf8')]))
      }
      expect(documents(node.windlass.root)).toEqual(documents(theirs.root))
    },
  )

  it('saves and pushes an image with its diffIDs, from tar-split', async ({ signal }) => {
    await using registry = await startDockerRegistry()
    await using node = await startNode({ signal })
    const image = system()
    await push({ host: registry.host, repository: 'test/system' }, '1', image)
    const reference = `${registry.host}/test/system:1`
    await node.pull(reference, { signal })
    const { podman } = privatePodman(node.at('podman'), node.windlass.root, { signal })
    const other = privatePodman(node.at('other'), undefined, { signal })

    await podman('save', '--quiet', '--output', node.at('saved.tar'), reference)
    await other.podman('load', '--quiet', '--input', node.at('saved.tar'))
    const diffIds = (text: string): unknown => JSON.parse(text)[0].RootFS.Layers
    const wanted = image.layers.map(({ diffId }) => diffId)
    expect(diffIds(await other.podman('image', 'inspect', reference))).toEqual(wanted)

    const copy = `${registry.host}/test/copy:1`
    await podman('push', '--quiet', '--tls-verify=false', reference, copy)
    // podman compresses layers anew on their way; their tars are what must be the same.
    await other.podman('pull', '--quiet', '--tls-verify=false', copy)
    expect(diffIds(await other.podman('image', 'inspect', copy))).toEqual(wanted)
  })

  it('runs an image in a user namespace, one sized by itself for the owners in it', async ({ signal }) => {
    await using registry = await startDockerRegistry()
    await using node = await startNode({ signal })
    const owned = buildImage({
      platform: here,
      run: command,
      layers: [{ tar: base() }, { tar: [{ name: 'high', content: 'x', uid: 3000, gid: 4000 }] }],
    })
    await push({ host: registry.host, repository: 'test/owned' }, '1', owned)
    const reference = `${registry.host}/test/owned:1`
    await node.pull(reference, { signal })
    const { podman, commandLine } = privatePodman(node.at('podman'), node.windlass.root, { signal })

    const inside = ['--rm', '--pull=never', reference, 'stat', '-c', '%u:%g %a', '/high', '/bin/su', '/srv']
    const wanted = '3000:4000 644\n0:0 4755\n1000:1001 2775\n'
    expect(await podman('run', '--uidmap', '0:200000:65536', '--gidmap', '0:200000:65536', ...inside)).toBe(wanted)
    // podman takes automatic namespaces from the subordinate ids of a user it calls `containers`; this machine need not have any.
    writeFileSync(node.at('ids'), 'containers:2147483647:2147483648\n')
    const withIds = 'touch /etc/subuid /etc/subgid && mount --bind "$0" /etc/subuid && mount --bind "$0" /etc/subgid && exec "$@"'
    // With the host's network runc cannot mount /sys in it.
    const auto = commandLine('run', '--userns=auto', '--network=none', ...inside)
    expect(await run('unshare', ['--mount', 'sh', '-c', withIds, node.at('ids'), ...auto], { signal })).toBe(wanted)
  })

  it('sees images come, move and go, in one process that keeps running', async ({ signal }) => {
    await using registry = await startDockerRegistry()
    await using node = await startNode({ signal })
    const one = system()
    const two = buildImage({ platform: here, run: command, layers: [{ tar: base() }, { tar: top }] })
    const target = { host: registry.host, repository: 'test/moving' }
    await push(target, 'one', one)
    await push(target, 'moved', one)
    const at = (tag: string) => `${registry.host}/test/moving:${tag}`
    await node.pull(at('one'), { signal })
    await using service = await privatePodman(node.at('podman'), node.windlass.root, { signal }).service(node.at('podman.sock'), {
      signal,
    })
    await using client = clientOf(node.at('podman.sock'))
    const listed = async (): Promise<readonly string[]> => {
      const answer = await request('http://podman/v4.0.0/libpod/images/json', { dispatcher: client.dispatcher, signal })
      const images = (await answer.body.json()) as { Id: string; Names: string[] | null }[]
      return images.flatMap(({ Id, Names }) => (Names ?? ['<none>']).map((name) => `${name} ${Id.slice(0, 12)}`)).toSorted()
    }
    const short = (image: { id: string }): string => image.id.slice(7, 19)

    expect(await listed()).toEqual([`${at('one')} ${short(one)}`])
    await node.pull(at('moved'), { signal })
    expect(await listed()).toEqual([`${at('moved')} ${short(one)}`, `${at('one')} ${short(one)}`])
    await push(target, 'moved', two)
    await node.pull(at('moved'), { signal })
    expect(await listed()).toEqual([`${at('moved')} ${short(two)}`, `${at('one')} ${short(one)}`])
    await node.windlass.cri.image.removeImage({ image: { image: one.id } }, { signal })
    expect(await listed()).toEqual([`${at('moved')} ${short(two)}`])
    await node.windlass.cri.image.removeImage({ image: { image: at('moved') } }, { signal })
    expect(await listed()).toEqual([])
    expect(service.output()).not.toMatch(/level=(warning|error)/)
  })

  it('reads the store on a read-only mount, of an empty store too', async ({ signal }) => {
    await using registry = await startDockerRegistry()
    await using node = await startNode({ signal })
    await push({ host: registry.host, repository: 'test/system' }, '1', system())
    await run('mkdir', [node.at('seen')], { signal })
    using _bound = mounted(node.at('seen'), ['--bind', node.windlass.root])
    await run('mount', ['-o', 'remount,bind,ro', node.at('seen')], { signal })
    const { images, inContainer } = privatePodman(node.at('podman'), node.at('seen'), { signal })
    expect(await images()).toEqual([])
    const reference = `${registry.host}/test/system:1`
    await node.pull(reference, { signal })
    expect(await images()).toEqual([`${reference} true`])
    expect(await inContainer(reference, 'cat', '/etc/version')).toBe('middle')
  })

  it('lists an image of 127 layers, and runs one of as many as podman can name in a page', async ({ signal }) => {
    await using registry = await startDockerRegistry()
    await using node = await startNode({ signal })
    const high = Array.from({ length: 126 }, (_, i) => ({ tar: [{ name: 'etc/version', content: String(i) }] }))
    const push127 = (count: number, tag: string): Promise<void> =>
      push(
        { host: registry.host, repository: 'test/high' },
        tag,
        buildImage({ platform: here, run: command, layers: [{ tar: base() }, ...high.slice(0, count - 1)] }),
      )
    // A mount's options are one page, and podman 4.3 gives lower directories of additional stores their whole paths.
    const each = join(node.windlass.root, 'overlay', 'l', 'A'.repeat(26), ':').length - 1
    const most = Math.floor((4096 - 1024) / each)
    await push127(127, '127')
    await push127(most, 'most')
    for (const tag of ['127', 'most']) await node.pull(`${registry.host}/test/high:${tag}`, { signal })
    const { images, inContainer } = privatePodman(node.at('podman'), node.windlass.root, { signal })
    expect(await images()).toEqual(['127', 'most'].map((tag) => `${registry.host}/test/high:${tag} true`))
    expect(most).toBeGreaterThan(30)
    expect(await inContainer(`${registry.host}/test/high:most`, 'cat', '/etc/version')).toBe(String(most - 2))
  })
})

/**
 * Times of layers are each store's own, and names-history is what podman remembers of names an image has no longer. The flags
 * are ours. Of owners podman looks
 * for the highest; it finds them in the tar, we in the tree, which has a root and parents the tar may have left out.
 */
function comparable(record: Readonly<Record<string, unknown>> | undefined): Readonly<Record<string, unknown>> | undefined {
  if (record === undefined) return undefined
  const { 'names-history': _, created, 'big-data-names': names, uidset, gidset, flags: _flags, ...rest } = record
  const numbers = (set: unknown): readonly number[] => z.array(z.number()).parse(set)
  if (!('diff-digest' in record)) return { ...rest, created, 'big-data-names': z.array(z.string()).parse(names).toSorted() }
  return { ...rest, uid: Math.max(...numbers(uidset)), gid: Math.max(...numbers(gidset)) }
}

/** A client of a unix socket. */
function clientOf(socketPath: string): AsyncDisposable & { readonly dispatcher: Agent } {
  const dispatcher = new Agent({ connect: { socketPath } })
  return { dispatcher, [Symbol.asyncDispose]: () => dispatcher.close() }
}
