/** Images that Windlass pulled into Debian's containerd, as containerd has them. */

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempDisposable, open, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import { differences, readTree } from '../../src/prove/tree.ts'
import type { Abortable } from '../../src/task/task.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { buildImage, publish } from '../support/image.ts'
import { type Containerd, type ContainerdOptions, startContainerd } from './containerd.ts'
import { here, inShellImage, pauseImage, shellImage } from './images.ts'
import { lacking } from './lacking.ts'
import { impliedDirectories, nastyImage } from './nasty.ts'
import { eventually } from './node.ts'
import { runPod } from './pod.ts'
import { mounted, run } from './process.ts'
import { main, startWindlass, type Windlass } from './windlass.ts'

interface Pair extends AsyncDisposable {
  readonly containerd: Containerd
  readonly windlass: Windlass
  at(name: string): string
}

async function startPair({ signal, config, ...options }: ContainerdOptions & { readonly config?: string }): Promise<Pair> {
  await using resources = new AsyncDisposableStack()
  const temporary = resources.use(await mkdtempDisposable(join(tmpdir(), 'windlass-landing-')))
  resources.use(mounted(temporary.path, ['-t', 'tmpfs', '-o', 'size=2g,nr_inodes=0', 'tmpfs']))
  const at = (name: string): string => join(temporary.path, name)
  const containerd = resources.use(await startContainerd(at('containerd'), { signal, ...options }))
  await writeFile(at('windlass.yaml'), `apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\n${config ?? ''}`)
  const env = { WINDLASS_CONFIG: at('windlass.yaml') }
  const windlass = resources.use(await startWindlass(at('windlass'), { signal, runtime: containerd, env }))
  await ready(windlass, { signal })
  const owned = resources.move()
  return { containerd, windlass, at, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** Calls are answered from the first moment; pulls are ours a moment later. */
async function ready({ cri }: Windlass, { signal }: Abortable): Promise<void> {
  await eventually(async () => (await cri.windlass.info({}, { signal })).runtime?.missing === '', { signal })
}

const pull = async ({ cri }: Windlass, reference: string, { signal }: Abortable): Promise<string> =>
  (await cri.image.pullImage({ image: { image: reference } }, { signal })).imageRef

/** `windlass` as a person types it, however it ends. */
async function typed(
  args: readonly string[],
  { signal }: Abortable,
): Promise<{ readonly code: number | null; readonly text: string }> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'], signal })
  const ended = new Promise<number | null>((resolve, reject) => child.once('exit', resolve).once('error', reject))
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
  return { code, text: stdout + stderr }
}

describe.skipIf(lacking('root', 'containerd', 'runc', 'busybox'))('in containerd', () => {
  it('an image is verified and repaired through the daemon, but never under a container', async ({ signal }) => {
    await using registry = await startRegistry()
    publish(registry, 'test/shell', '1', shellImage())
    publish(registry, 'test/theirs', '1', pauseImage())
    await using pair = await startPair({ signal })
    const { windlass, containerd } = pair
    const name = `${registry.host}/test/shell:1`
    await pull(windlass, name, { signal })
    const verify = (...args: readonly string[]) => typed(['--socket', windlass.socket, 'verify', ...args], { signal })
    const { layers } = await windlass.cri.windlass.inspectImage({ image: name }, { signal })
    const busybox = join(layers[0]?.diff ?? '', 'bin/busybox')
    const byte = Buffer.alloc(1)
    {
      await using file = await open(busybox, 'r+')
      await file.read(byte, 0, 1, 4_000)
      await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, 4_000)
    }
    const id = `c${Date.now()}`
    await containerd.ctr(['containers', 'create', '--snapshotter', 'overlayfs', name, id], { signal })
    const refused = await verify('--repair')
    expect(refused.code).toBe(1)
    expect(refused.text).toContain(`containers stand on it (${id}); nothing was changed; remove those containers`)
    await containerd.ctr(['containers', 'rm', id], { signal })
    const repaired = await verify('--repair')
    expect(repaired).toMatchObject({ code: 0, text: expect.stringMatching(/repaired .*shell:1\n/) })
    const { image } = await containerd.cri.image.imageStatus({ image: { image: name } }, { signal })
    expect(image?.repoTags).toEqual([name])
    // What containerd has unpacked is not passed over in silence.
    await containerd.cri.image.pullImage({ image: { image: `${registry.host}/test/theirs:1` } }, { signal })
    const theirs = await verify()
    expect(theirs.code).toBe(1)
    expect(theirs.text).toMatch(/ unverifiable: unpacked by containerd .*theirs:1$/m)
    expect(theirs.text).toMatch(/^windlass: 1 layer cannot be verified, for want of a tar-split; the table says why$/m)
  })

  it('an image is landed, and a container starts from it', async ({ signal }) => {
    await using registry = await startRegistry()
    const image = shellImage()
    publish(registry, 'test/shell', '1', image)
    const reference = `${registry.host}/test/shell:1`
    await using pair = await startPair({ signal })
    const { windlass, containerd } = pair
    const id = await pull(windlass, reference, { signal })
    expect(id).toBe(image.images[0]?.id)
    expect(windlass.daemon.output()).not.toContain('handed to the runtime')
    // The runtime's own word, through either socket.
    for (const cri of [containerd.cri, windlass.cri]) {
      const { image: status } = await cri.image.imageStatus({ image: { image: id } }, { signal })
      expect(status).toMatchObject({
        id,
        repoTags: [reference],
        repoDigests: [`${registry.host}/test/shell@${image.descriptor.digest}`],
      })
    }
    // Into a file: what comes through ctr itself is lost where the container ends before ctr has begun to copy.
    const shell = async (script: string): Promise<string> => {
      const name = `c${Date.now()}`
      const said = pair.at(`${name}.log`)
      const how = ['--rm', '--net-host', '--snapshotter', 'overlayfs', '--log-uri', `file://${said}`]
      await containerd.ctr(['run', ...how, reference, name, '/bin/sh', '-c', script], { signal })
      return await readFile(said, 'utf8')
    }
    const { script, says } = inShellImage
    expect(await shell(script)).toBe(says)
    // In a user namespace the runtime makes a copy of the topmost snapshot with shifted owners: it finds all it needs.
    const mapped = await containerd.ctr(
      [
        ...[
          'run',
          '--rm',

          '--snapshotter',
          'overlayfs',
          '--uidmap',
          '0:100000:65536',
          '--gidmap',
          '0:100000:65536',
        ],
        ...[reference, 'mapped', '/bin/sh', '-c', `cat /proc/self/uid_map; ${script}`],
      ],
      { signal },
    )
    expect(mapped.replaceAll(/ +/g, ' ')).toBe(` 0 100000 65536\n${says}`)
    // No layer's blob is kept.
    const blobs = await containerd.ctr(['content', 'ls', '-q'], { signal })
    expect(blobs.trim().split('\n').toSorted()).toEqual(
      [image.descriptor.digest, image.images[0]?.descriptor.digest, id].toSorted(),
    )
    // The image holds itself, through a whole collection and a crash.
    await containerd.ctr(['leases', 'create', '--id', 'now'], { signal })
    await containerd.ctr(['leases', 'rm', '--sync', 'now'], { signal })
    await containerd.crash({ signal })
    expect(await shell(script)).toBe(says)
    await ready(windlass, { signal })
    // kubelet pulls again to check credentials: the registry is asked, and nothing else moves.
    const before = registry.requests.length
    expect(await pull(windlass, reference, { signal })).toBe(id)
    const asked = registry.requests.slice(before).map(({ method, path }) => `${method} ${path}`)
    expect(asked).toEqual(['HEAD /v2/test/shell/manifests/1'])
  })

  it('blobs are kept where that is wanted, as containerd itself keeps them', async ({ signal }) => {
    await using registry = await startRegistry()
    const large = buildImage({
      platform: here,
      layers: [
        { tar: [{ name: 'large', content: randomBytes(5_000_000) }] },
        { tar: [{ name: 'small', content: 'small' }], compression: 'zstd' },
      ],
    })
    const child = buildImage({ platform: here, layers: [...large.layers, { tar: [{ name: 'child', content: 'c' }] }] })
    publish(registry, 'test/large', '1', large)
    publish(registry, 'test/child', '1', child)
    await using pair = await startPair({ signal, config: 'keepBlobs: true\n' })
    const { windlass, containerd } = pair
    const [one, two] = [`${registry.host}/test/large:1`, `${registry.host}/test/child:1`]
    const blobsOf = (image: { readonly layers: readonly { readonly descriptor: { readonly digest: Digest } }[] }): Digest[] =>
      image.layers.map(({ descriptor }) => descriptor.digest)
    const content = async (): Promise<readonly string[]> => {
      await containerd.ctr(['leases', 'create', '--id', 'now'], { signal })
      await containerd.ctr(['leases', 'rm', '--sync', 'now'], { signal })
      return (await containerd.ctr(['content', 'ls', '-q'], { signal })).trim().split('\n').toSorted()
    }
    await Promise.all([one, two].map((reference) => pull(windlass, reference, { signal })))
    expect(windlass.daemon.output()).not.toContain('handed to the runtime')
    const documents = [large, child].flatMap(({ descriptor, id }) => [descriptor.digest, id])
    expect(await content()).toEqual([...new Set([...documents, ...blobsOf(large), ...blobsOf(child)])].toSorted())
    for (const digest of blobsOf(child)) expect(registry.blobGets(digest)).toBe(1)
    // What peers look for, and what an export needs.
    const listed = (await containerd.ctr(['content', 'ls'], { signal })).split('\n')
    const [first = ''] = blobsOf(large)
    const labels = listed.find((line) => line.startsWith(first))
    expect(labels).toMatch(/containerd\.io\/distribution\.source\.127\.0\.0\.1:\d+=\S*test\/large/)
    expect(labels).toContain(`containerd.io/uncompressed=${large.layers[0]?.diffId}`)
    await containerd.ctr(['images', 'export', pair.at('large.tar'), one], { signal })
    // They go with their last image.
    await windlass.cri.image.removeImage({ image: { image: two } }, { signal })
    expect(await content()).toEqual([large.descriptor.digest, large.id, ...blobsOf(large)].toSorted())
    await windlass.cri.image.removeImage({ image: { image: one } }, { signal })
    expect(await content()).toEqual([''])
    // What is a snapshot already is not fetched for its blob alone; nothing is left under way.
    expect(await containerd.ctr(['content', 'active'], { signal })).not.toContain('windlass-')
  })

  it('images that share layers land at once, each layer fetched once', async ({ signal }) => {
    await using registry = await startRegistry()
    const [shell, pause] = [shellImage(), pauseImage()]
    const platformImage = shell.images[0]
    const child = buildImage({
      platform: here,
      layers: [...(platformImage?.layers ?? []), { tar: [{ name: 'child', content: 'c' }] }],
    })
    publish(registry, 'test/shell', '1', shell)
    publish(registry, 'test/pause', '1', pause)
    publish(registry, 'test/child', '1', child)
    await using pair = await startPair({ signal })
    const { windlass, containerd } = pair
    const names = ['shell', 'pause', 'child', 'shell'].map((name) => `${registry.host}/test/${name}:1`)
    const ids = await Promise.all(names.map((name) => pull(windlass, name, { signal })))
    expect(ids).toEqual([platformImage?.id, pause.images[0]?.id, child.id, platformImage?.id])
    const blobs = registry.requests
      .filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'))
      .map(({ path }) => path)
    expect(blobs.toSorted()).toEqual([...new Set(blobs)].toSorted())
    expect((await containerd.cri.image.listImages({}, { signal })).images).toHaveLength(3)
    expect(windlass.daemon.output()).not.toContain('handed to the runtime')
  })

  it('the tree is the one containerd itself unpacks, but for the times of implied directories and the root', async ({
    signal,
  }) => {
    await using registry = await startRegistry()
    publish(registry, 'test/nasty', '1', nastyImage())
    const reference = `${registry.host}/test/nasty:1`
    await using ours = await startPair({ signal })
    await using theirs = await startContainerd(ours.at('other'), { signal })
    const id = await pull(ours.windlass, reference, { signal })
    expect((await theirs.cri.image.pullImage({ image: { image: reference } }, { signal })).imageRef).toBe(id)
    await using _ourMount = await ours.containerd.mount(reference, ours.at('our-tree'), { signal })
    await using _theirMount = await theirs.mount(reference, ours.at('their-tree'), { signal })
    const differing = differences(
      await readTree(ours.at('our-tree'), { signal }),
      await readTree(ours.at('their-tree'), { signal }),
    )
    expect(differing.map((line) => line.split(': ').slice(0, 2).join(': ')).toSorted()).toEqual(
      ['.', ...impliedDirectories].map((path) => `${path}: mtime`).toSorted(),
    )
  })

  it('removal through either side frees the snapshots', async ({ signal }) => {
    await using registry = await startRegistry()
    const image = shellImage()
    publish(registry, 'test/shell', '1', image)
    const reference = `${registry.host}/test/shell:1`
    await using pair = await startPair({ signal })
    const { containerd, windlass } = pair
    const committed = async (): Promise<number> =>
      (await containerd.ctr(['snapshots', 'ls'], { signal })).split('\n').filter((line) => line.includes('Committed')).length
    for (const side of [containerd, windlass]) {
      const id = await pull(windlass, reference, { signal })
      expect(await committed()).toBe(3)
      await side.cri.image.removeImage({ image: { image: id } }, { signal })
      await side.cri.image.removeImage({ image: { image: id } }, { signal })
      expect((await windlass.cri.image.listImages({}, { signal })).images).toEqual([])
      await eventually(async () => (await committed()) === 0, { signal })
    }
  })

  it('a pull that is killed leaves nothing but a lease, and the next start drops that', async ({ signal }) => {
    await using registry = await startRegistry({ blobBytesPerSecond: 200_000 })
    const image = shellImage()
    publish(registry, 'test/shell', '1', image)
    await using pair = await startPair({ signal })
    const { containerd, windlass, at } = pair
    const cut = pull(windlass, `${registry.host}/test/shell:1`, { signal }).catch((error: unknown) => error)
    for await (const { pulls } of windlass.cri.windlass.watchPulls({}, { signal }))
      if (pulls.some(({ layers }) => layers.some(({ bytes }) => bytes > 0))) break
    await windlass.daemon.stop('SIGKILL')
    await cut
    const leases = async (): Promise<number> =>
      (await containerd.ctr(['leases', 'ls', '-q'], { signal })).split('\n').filter(Boolean).length
    expect(await leases()).toBeGreaterThan(0)
    expect((await containerd.cri.image.listImages({}, { signal })).images).toEqual([])
    await using again = await startWindlass(at('windlass'), { signal, runtime: containerd })
    await ready(again, { signal })
    // Its own staging area, and none of the first one's.
    await eventually(async () => (await leases()) === 1, { signal })
    await again.daemon.stop()
    await eventually(async () => (await leases()) === 0, { signal })
    const snapshots = at('containerd/root/io.containerd.snapshotter.v1.overlayfs/snapshots')
    await eventually(async () => (await readdir(snapshots)).length === 0, { signal })
  })

  it('a pod starts from it through containerd’s own CRI, its sandbox from an image that is pinned', async ({ signal }) => {
    await using registry = await startRegistry()
    const [shell, pause] = [shellImage(), pauseImage()]
    publish(registry, 'test/shell', '1', shell)
    publish(registry, 'test/pause', '1', pause)
    const sandboxImage = `${registry.host}/test/pause:1`
    await using pair = await startPair({ signal, cri: `  sandbox_image = ${JSON.stringify(sandboxImage)}` })
    const { windlass, containerd, at } = pair
    const pauseId = await pull(windlass, sandboxImage, { signal })
    const id = await pull(windlass, `${registry.host}/test/shell:1`, { signal })
    expect(windlass.daemon.output()).not.toContain('handed to the runtime')
    expect(await containerd.ctr(['images', 'ls', `name==${sandboxImage}`], { signal })).toContain(
      'io.cri-containerd.pinned=pinned',
    )

    await using pod = await runPod(containerd.socket, at('pods'), 'landed')
    const container = await pod.container(id, ['/bin/sleep', '1000'])
    expect(await pod.exec(container, ['/bin/sh', '-c', inShellImage.script])).toBe(inShellImage.says)
    // kubelet's collection compares these, and deletes what seems unused where they differ.
    expect(await pod.imageRefOf(container)).toBe(id)
    expect((await windlass.cri.image.listImages({}, { signal })).images.map((image) => image.id).toSorted()).toEqual(
      [id, pauseId].toSorted(),
    )
  })

  it('documents that containerd could not read change nothing there', async ({ signal }) => {
    await using registry = await startRegistry()
    const bad = buildImage({ platform: here, layers: [{ tar: [{ name: 'a', content: 'a' }] }], config: { created: 'yesterday' } })
    publish(registry, 'test/bad', '1', bad)
    await using pair = await startPair({ signal })
    const { windlass, containerd } = pair
    await expect(pull(windlass, `${registry.host}/test/bad:1`, { signal })).rejects.toThrow('created is not a time')
    expect(windlass.daemon.output()).not.toContain('handed to the runtime')
    expect(await containerd.ctr(['images', 'ls', '-q'], { signal })).toBe('')
  })

  it('of what containerd unpacked itself that is said which is known', async ({ signal }) => {
    await using registry = await startRegistry()
    const layers = ['base', 'top'].map((name) => ({ tar: [{ name, content: name }] }))
    const image = buildImage({ platform: here, layers })
    publish(registry, 'test/theirs', '1', image)
    const reference = `${registry.host}/test/theirs:1`
    await using pair = await startPair({ signal })
    const { windlass, containerd } = pair
    await containerd.cri.image.pullImage({ image: { image: reference } }, { signal })
    const cli = (...args: string[]): Promise<string> =>
      run(process.execPath, [main, '--socket', windlass.socket, ...args], { signal })
    const detail = JSON.parse(await cli('-o', 'json', 'inspect', reference))
    expect(detail.layers.map((layer: { diffId: string }) => layer.diffId)).toEqual(image.layers.map(({ diffId }) => diffId))
    for (const layer of detail.layers)
      expect(Object.keys(layer).toSorted()).toEqual(['blob', 'diff', 'diffId', 'layerId', 'short'])
    const shown = await cli('inspect', reference)
    expect(shown).toContain('unpacked size unknown')
    expect(shown).toMatch(/^2 .* unknown +unknown +unknown +\//m)
    expect(await cli('why', image.layers[1]?.diffId ?? '')).toContain(reference)
    expect(await cli('rmi', reference)).toBe(
      `untagged ${reference}\nremoved  ${image.id} (its layers go when the runtime next collects)\n`,
    )
    // It collects when it likes, and what is still there is not unpacked again.
    await containerd.ctr(['leases', 'create', '--id', 'now'], { signal })
    await containerd.ctr(['leases', 'rm', '--sync', 'now'], { signal })
    await pull(windlass, reference, { signal })
    const own = JSON.parse(await cli('-o', 'json', 'inspect', reference))
    expect(own.layers).toMatchObject(image.layers.map(({ diffId }) => ({ diffId, entries: 1, whiteouts: 0 })))
  })

  it('a layer that containerd has unpacked itself meanwhile is taken, and a lost staging area replaced', async ({ signal }) => {
    await using registry = await startRegistry()
    const shell = shellImage()
    const base = shell.images[0]?.layers[0]
    if (base === undefined) throw new Error('the image has no layer')
    publish(registry, 'test/shell', '1', shell)
    await using pair = await startPair({ signal })
    const { windlass, containerd } = pair
    // The base is unpacked here, and then the other layers fail.
    const shellOf = (tag: string): string => `${registry.host}/test/shell:${tag}`
    registry.fault = ({ path }) =>
      path.includes(shell.images[0]?.layers[1]?.descriptor.digest ?? '?') ? { kind: 'status', status: 404 } : undefined
    await expect(pull(windlass, shellOf('1'), { signal })).rejects.toThrow('missing layer')
    registry.fault = undefined
    await containerd.cri.image.pullImage({ image: { image: shellOf('1') } }, { signal })
    const other = buildImage({ platform: here, layers: [base, { tar: [{ name: 'other', content: 'o' }] }] })
    publish(registry, 'test/other', '1', other)
    expect(await pull(windlass, `${registry.host}/test/other:1`, { signal })).toBe(other.id)
    expect(windlass.daemon.output()).not.toContain('handed to the runtime')

    // Its lease has run out, say: containerd removes the staging area.
    for (const lease of (await containerd.ctr(['leases', 'ls', '-q'], { signal })).split('\n').filter(Boolean))
      await containerd.ctr(['leases', 'rm', '--sync', lease], { signal })
    const third = buildImage({ platform: here, layers: [base, { tar: [{ name: 'third', content: '3' }] }] })
    publish(registry, 'test/third', '1', third)
    expect(await pull(windlass, `${registry.host}/test/third:1`, { signal })).toBe(third.id)
    await ready(windlass, { signal })
    const fourth = buildImage({ platform: here, layers: [base, { tar: [{ name: 'fourth', content: '4' }] }] })
    publish(registry, 'test/fourth', '1', fourth)
    const before = windlass.daemon.output().length
    expect(await pull(windlass, `${registry.host}/test/fourth:1`, { signal })).toBe(fourth.id)
    expect(windlass.daemon.output().slice(before)).not.toContain('handed to the runtime')
  })
})
