/** What goes through Windlass to Debian's containerd, as containerd answers it, and what becomes of it when either is not well. */
import { mkdir, mkdtempDisposable, readFile, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { imagePath } from '../../src/rpc/codec.ts'
import { serviceDefinitions } from '../../src/rpc/proto.ts'
import type { ImageHandlers } from '../../src/rpc/services.ts'
import { RpcError } from '../../src/rpc/status.ts'
import { inspectRuntime } from '../../src/runtime/inspect.ts'
import type { Abortable } from '../../src/task/task.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { callIn } from '../rpc/foreign.ts'
import { publish } from '../support/image.ts'
import { type Containerd, type ContainerdOptions, startContainerd } from './containerd.ts'
import { shellImage } from './images.ts'
import { lacking } from './lacking.ts'
import { eventually } from './node.ts'
import { mounted } from './process.ts'
import { startWindlass, type Windlass } from './windlass.ts'

interface Beside extends AsyncDisposable {
  readonly containerd: Containerd
  readonly windlass: Windlass
  at(name: string): string
}

type Wishes = ContainerdOptions & { readonly env?: (at: (name: string) => string) => Promise<Readonly<Record<string, string>>> }

async function start({ signal, env, ...options }: Wishes): Promise<Beside> {
  await using resources = new AsyncDisposableStack()
  const temporary = resources.use(await mkdtempDisposable(join(tmpdir(), 'windlass-forward-')))
  resources.use(mounted(temporary.path, ['-t', 'tmpfs', '-o', 'size=1g,nr_inodes=0', 'tmpfs']))
  const at = (name: string): string => join(temporary.path, name)
  const containerd = resources.use(await startContainerd(at('containerd'), { signal, ...options }))
  const more = env === undefined ? {} : { env: await env(at) }
  const windlass = resources.use(await startWindlass(at('windlass'), { signal, runtime: containerd, ...more }))
  const owned = resources.move()
  return { containerd, windlass, at, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

const ready = ({ cri }: Windlass, { signal }: Abortable): Promise<void> =>
  eventually(async () => (await cri.windlass.info({}, { signal })).runtime?.missing === '', { signal })

const bytesOf = (method: keyof ImageHandlers, request: object): Buffer => {
  const definition = serviceDefinitions().image[method.charAt(0).toUpperCase() + method.slice(1)]
  if (definition === undefined) throw new Error(`no ${method}`)
  return definition.requestSerialize(request)
}
const pull = ({ cri }: Windlass, reference: string, { signal }: Abortable) =>
  cri.image.pullImage({ image: { image: reference } }, { signal })
const handedOn = ({ daemon }: Windlass): string[] =>
  [...daemon.output().matchAll(/"reason":"([a-z-]+)".*pull handed to the runtime/g)].map(([, reason]) => reason ?? '')

describe.skipIf(lacking('root', 'containerd', 'busybox'))('through Windlass, containerd', () => {
  it('answers byte by byte what it answers itself', async ({ signal }) => {
    await using registry = await startRegistry()
    publish(registry, 'test/shell', '1', shellImage())
    const reference = `${registry.host}/test/shell:1`
    await using beside = await start({ signal })
    const { containerd, windlass } = beside
    await ready(windlass, { signal })
    const { imageRef: id } = await pull(windlass, reference, { signal })
    expect(handedOn(windlass)).toEqual([])
    const asked: readonly (readonly [keyof ImageHandlers, object])[] = [
      ['listImages', {}],
      ['imageStatus', { image: { image: id }, verbose: true }],
      ['imageStatus', { image: { image: reference } }],
      ['imageStatus', { image: { image: 'r.example/none:1' } }],
    ]
    for (const [method, request] of asked) {
      const [through, direct] = await Promise.all(
        [windlass.socket, containerd.socket].map((socket) =>
          callIn('unary', socket, imagePath(method), bytesOf(method, request)),
        ),
      )
      expect(direct?.status.code).toBe(grpc.status.OK)
      expect(through?.messages).toEqual(direct?.messages)
    }
    // Each answer tells its own time.
    const disks = await Promise.all([windlass, containerd].map(({ cri }) => cri.image.imageFsInfo({}, { signal })))
    const [ours, theirs] = disks.map(({ imageFilesystems }) => imageFilesystems.map(({ timestamp: _, ...use }) => use))
    expect(ours).toEqual(theirs)
    expect(ours).toMatchObject([{ fsId: { mountpoint: expect.stringContaining('snapshotter.v1.overlayfs') } }])
    // 1.6 and 1.7 have no StreamImages: kubelet is to hear that, and asks otherwise.
    const [streamed, direct] = await Promise.all(
      [windlass.socket, containerd.socket].map((socket) =>
        callIn('stream', socket, imagePath('streamImages'), bytesOf('streamImages', {})),
      ),
    )
    expect(streamed?.status.code).toBe(direct?.status.code)
    expect(streamed?.status.details).toBe(direct?.status.details)
    expect(streamed?.messages).toEqual(direct?.messages)

    const facts = await inspectRuntime(containerd, containerd.cri, { signal })
    expect(facts).toMatchObject({ name: 'containerd', snapshotter: 'overlayfs', otherSnapshotters: new Map(), obstacles: [] })
    expect(containerd.daemon.output()).toContain(facts.version)
  })

  it('keeps pulls that only it can do as they should be', async ({ signal }) => {
    await using registry = await startRegistry()
    publish(registry, 'test/shell', '1', shellImage())
    const mirror = `[plugins."io.containerd.grpc.v1.cri".registry.mirrors."${registry.host}"]\n  endpoint = ["http://${registry.host}"]`
    // It runs with another file than is there by now: what else it goes by cannot be known.
    const edited = async (at: (name: string) => string) => {
      const file = at('containerd/config.toml')
      await writeFile(file, (await readFile(file, 'utf8')).replace(mirror, ''))
      return {}
    }
    await using beside = await start({ signal, cri: mirror, env: edited })
    const { containerd, windlass } = beside
    const facts = await inspectRuntime(containerd, containerd.cri, { signal })
    expect(facts.obstacles).toEqual([expect.stringContaining('registry.mirrors')])
    await ready(windlass, { signal })
    await pull(windlass, `${registry.host}/test/shell:1`, { signal })
    expect(handedOn(windlass)).toEqual(['obstacle'])
  })

  it('pulls itself while passthrough is on', async ({ signal }) => {
    await using registry = await startRegistry()
    const image = shellImage()
    publish(registry, 'test/shell', '1', image)
    const reference = `${registry.host}/test/shell:1`
    await using beside = await start({ signal })
    const { containerd, windlass } = beside
    await ready(windlass, { signal })
    await windlass.cri.windlass.setPassthrough({ on: true, reason: 'a test' }, { signal })
    const { imageRef: id } = await pull(windlass, reference, { signal })
    expect(handedOn(windlass)).toEqual(['passthrough'])
    // Only containerd's own pull leaves blobs of layers.
    const blobs = await containerd.ctr(['content', 'ls', '-q'], { signal })
    expect(blobs).toContain(image.images[0]?.layers[0]?.descriptor.digest)
    await windlass.cri.image.removeImage({ image: { image: id } }, { signal })
    await windlass.cri.windlass.setPassthrough({ on: false }, { signal })
    expect(await pull(windlass, reference, { signal })).toEqual({ imageRef: id })
    expect(handedOn(windlass)).toEqual(['passthrough'])
  })

  it('may be killed and started again: calls wait for it, and none is lost', async ({ signal }) => {
    await using beside = await start({ signal })
    const { containerd, windlass } = beside
    await ready(windlass, { signal })
    const failures: unknown[] = []
    let [answers, going] = [0, true]
    const asking = (async () => {
      while (going)
        await windlass.cri.image.imageStatus({ image: { image: 'r.example/none:1' } }, { signal }).then(
          () => answers++,
          // Its own word, while its plugins start: kubelet hears the same on its own socket.
          (error: unknown) => {
            if (!(error instanceof RpcError && error.message.includes('not initialized'))) failures.push(error)
          },
        )
    })()
    await eventually(async () => answers > 10, { signal })
    await containerd.crash({ signal })
    const before = answers
    await eventually(async () => answers > before + 10, { signal })
    going = false
    await asking
    expect(failures).toEqual([])
  })

  it('is named where it stays away', async ({ signal }) => {
    await using beside = await start({ signal })
    const { containerd, windlass } = beside
    await containerd.daemon.stop('SIGKILL')
    const deadline = new Date(Date.now() + 1_000)
    const error = await windlass.cri.image.listImages({}, { signal, deadline }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: 'UNAVAILABLE',
      kind: 'runtime-down',
      message: expect.stringContaining(`${containerd.socket} (nobody listens on it)`),
    })
  })

  it('serves kubelet alone where the configuration is bad', async ({ signal }) => {
    await using registry = await startRegistry()
    publish(registry, 'test/shell', '1', shellImage())
    await using beside = await start({
      signal,
      env: async (at) => {
        await writeFile(at('bad.yaml'), 'apiVersion: windlass.dev/v1alpha1\nkind: WindlassConfiguration\nrootdir: /x\n')
        return { WINDLASS_CONFIG: at('bad.yaml') }
      },
    })
    const { windlass } = beside
    const { passthrough } = await windlass.cri.windlass.info({}, { signal })
    expect(passthrough).toMatchObject({ on: true, reason: expect.stringContaining('rootdir') })
    await pull(windlass, `${registry.host}/test/shell:1`, { signal })
    expect(handedOn(windlass)).toEqual(['passthrough'])
    const off = await windlass.cri.windlass.setPassthrough({ on: false }, { signal }).catch((reason: unknown) => reason)
    expect(off).toMatchObject({ code: 'FAILED_PRECONDITION' })
  })

  it('serves kubelet alone where our own path cannot be opened', async ({ signal }) => {
    await using registry = await startRegistry()
    publish(registry, 'test/shell', '1', shellImage())
    await using beside = await start({ signal })
    const { containerd, windlass } = beside
    await ready(windlass, { signal })
    // The same root, which the first one has.
    await mkdir(beside.at('second'))
    await symlink(windlass.root, beside.at('second/root'))
    await using second = await startWindlass(beside.at('second'), { signal, runtime: containerd })
    await eventually(async () => (await second.cri.windlass.info({}, { signal })).runtime?.missing.includes('in use') === true, {
      signal,
    })
    await pull(second, `${registry.host}/test/shell:1`, { signal })
    expect(handedOn(second)).toEqual(['not-ready'])
  })
})
