/**
 * The Dockerfile, built by buildah; Windlass pulls what comes out, and it is run as the chart's DaemonSet says, with its rights and volumes, on
 * a read-only root: beside a containerd that gets what a list declares, and with a store of its own.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtempDisposable, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { top } from '../../scripts/release/compile.ts'
import { type Connection, connect } from '../../src/rpc/client.ts'
import type { Abortable } from '../../src/task/task.ts'
import { startContainerd } from '../integration/containerd.ts'
import { shellImage } from '../integration/images.ts'
import { lacking } from '../integration/lacking.ts'
import { startNode } from '../integration/node.ts'
import { run, start } from '../integration/process.ts'
import { main } from '../integration/windlass.ts'
import { startRegistry, type TestRegistry } from '../registry/embedded-registry.ts'
import { publish } from '../support/image.ts'
import { buildBase, npmCache, npmrc, runtimeBase } from './bases.ts'
import { bind, type Container, containerOf } from './daemonset.ts'

const descriptor = z.object({ digest: z.string(), mediaType: z.string() })
const layoutIndex = z.object({ manifests: z.tuple([descriptor]) })
const imageManifest = z.object({ config: descriptor, layers: z.array(descriptor) })

/** Builds it without any registry of images; the OCI layout it ends up in. */
async function build(dir: string, options: Abortable): Promise<string> {
  const where = ['--root', join(dir, 'storage'), '--runroot', join(dir, 'run'), '--storage-driver', 'overlay']
  const buildah = (...args: readonly string[]) => run('buildah', [...where, ...args], options)
  const policy = join(dir, 'policy.json')
  writeFileSync(policy, '{"default": [{"type": "insecureAcceptAnything"}]}')
  for (const [name, make] of [['build-base', buildBase] as const, ['base', runtimeBase] as const]) {
    const root = join(dir, name)
    await mkdir(root)
    make(root)
    const container = (await buildah('from', 'scratch')).trim()
    await buildah('add', '--quiet', container, root, '/')
    await buildah('commit', '--quiet', '--rm', '--signature-policy', policy, container, `localhost/${name}`)
    await rm(root, { recursive: true })
  }
  const npmConfig = join(dir, 'npmrc')
  writeFileSync(npmConfig, `${npmrc()}\nprefer-offline=true\n`)
  const bases = ['BUILD_BASE=localhost/build-base', 'BASE=localhost/base', 'SOURCE_DATE_EPOCH=1790000000']
  const args = bases.flatMap((argument) => ['--build-arg', argument])
  const how = ['--isolation', 'chroot', '--layers=false', '--pull-never', '--signature-policy', policy]
  const npm = ['--secret', `id=npmrc,src=${npmConfig}`, '--volume', `${npmCache()}:/root/.npm`]
  await buildah('bud', ...how, ...npm, ...args, '--tag', 'localhost/windlass', top)
  const layout = join(dir, 'layout')
  await buildah('push', '--quiet', '--signature-policy', policy, 'localhost/windlass', `oci:${layout}:1`)
  return layout
}

async function publishLayout(registry: TestRegistry, layout: string): Promise<string> {
  const blob = (digest: string): string => join(layout, 'blobs', digest.replace(':', '/'))
  const [{ digest, mediaType }] = layoutIndex.parse(JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'))).manifests
  const manifest = readFileSync(blob(digest))
  const { config, layers } = imageManifest.parse(JSON.parse(manifest.toString()))
  for (const each of [config, ...layers]) await registry.putBlobFile(blob(each.digest))
  registry.putManifest('windlass/windlass', '1', manifest, mediaType)
  return `${registry.host}/windlass/windlass:1`
}

const bundleConfig = z.looseObject({
  process: z.looseObject({ args: z.array(z.string()) }),
  root: z.looseObject({}),
  mounts: z.array(z.looseObject({ destination: z.string() })),
  linux: z.looseObject({ resources: z.looseObject({ devices: z.array(z.unknown()) }) }),
})

/** Makes the bundle's container the DaemonSet's. */
function asDeclared(bundle: string, { args, capabilities: caps, readOnlyRoot, noNewPrivileges, mounts }: Container): void {
  const file = join(bundle, 'config.json')
  const config = bundleConfig.parse(JSON.parse(readFileSync(file, 'utf8')))
  const made = {
    ...config,
    process: {
      ...config.process,
      // In place of its Cmd, which is one word.
      args: [...config.process.args.slice(0, -1), ...args],
      capabilities: { bounding: caps, effective: caps, permitted: caps },
      noNewPrivileges,
    },
    root: { ...config.root, readonly: readOnlyRoot },
    mounts: [...config.mounts, ...mounts],
    // Layers hold device nodes: they are made, and cannot be opened.
    linux: {
      ...config.linux,
      resources: {
        ...config.linux.resources,
        devices: [
          { allow: false, access: 'rwm' },
          { allow: true, access: 'm' },
        ],
      },
    },
  }
  writeFileSync(file, JSON.stringify(made))
}

const tagsIn = async ({ image }: Connection, options: Abortable): Promise<readonly string[]> =>
  (await image.listImages({}, options)).images.flatMap(({ repoTags }) => repoTags)

describe.skipIf(lacking('root', 'buildah', 'runc', 'busybox', 'npm', 'ldd', 'containerd'))('the image', () => {
  it('is built, pulled by Windlass, and pulls into containerd and for itself', { timeout: 1_200_000 }, async ({ signal }) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-image-'))
    const layout = await build(dir.path, { signal })
    await using registry = await startRegistry()
    const reference = await publishLayout(registry, layout)
    await using node = await startNode({ signal })
    await node.pull(reference, { signal })

    const cli = (...args: readonly string[]) =>
      run(process.execPath, [main, '--socket', node.windlass.socket, ...args], { signal })
    const runc = ['--root', node.at('runc')]
    const shown = node.at('shown')
    await cli('bundle', reference, shown, '--', 'version')
    const version = await run('runc', [...runc, 'run', '--bundle', shown, `windlass-version-${process.pid}`], { signal })
    expect(version).toContain(`(Node ${process.version})`)
    await cli('unmount', shown)

    const shell = `${registry.host}/test/shell:1`
    publish(registry, 'test/shell', '1', shellImage())
    const runtimeDir = node.at('containerd')
    const container = containerOf(
      {
        rootDir: node.at('own'),
        runtime: {
          kind: 'containerd',
          socketDir: runtimeDir,
          endpoint: `unix://${join(runtimeDir, 'containerd.sock')}`,
          rootDir: join(runtimeDir, 'root'),
          configDir: node.at('configuration'),
        },
        lists: [{ name: 'base', images: [{ image: shell }] }],
        config: { prepull: { minFreePercent: 1, startJitter: '0s' } },
        // The host's network is the container's here, and its ports may be taken.
        metrics: { port: 0 },
      },
      node.at('volumes'),
    )
    const runAs = async (declared: Container, name: string) => {
      await using resources = new AsyncDisposableStack()
      await cli('bundle', '--network', 'host', reference, node.at(name))
      resources.defer(() => cli('unmount', node.at(name)).then(() => {}))
      asDeclared(node.at(name), declared)
      const pod = resources.use(start('runc', [...runc, 'run', '--bundle', node.at(name), `windlass-${name}-${process.pid}`]))
      const owned = resources.move()
      return { ...pod, [Symbol.asyncDispose]: () => owned.disposeAsync() }
    }
    const expectQuiet = (output: string): void => {
      expect(output).not.toContain('more rights than they need')
      expect(output).not.toContain('"level":"error"')
    }

    {
      await using containerd = await startContainerd(runtimeDir, { signal })
      await using pod = await runAs(container, 'beside')
      await pod.line(/"msg":"pulled"/, { signal })
      expect(await tagsIn(containerd.cri, { signal })).toContain(shell)
      await using _view = await containerd.mount(shell, node.at('view'), { signal })
      expect(readFileSync(join(node.at('view'), 'etc/replaced'), 'utf8')).toBe('from the middle\n')
      expectQuiet(pod.output())
    }

    const own = ['lib', 'run', 'cache'].map((name) => node.at(`alone/${name}`))
    const [root = '', sockets = '', cache = ''] = own
    for (const path of own) await mkdir(path, { recursive: true })
    const mounts = [bind('/var/lib/windlass', root), bind('/run/windlass', sockets), bind('/var/cache/windlass', cache)]
    {
      await using pod = await runAs({ ...container, args: ['serve', '--runtime', 'none'], mounts }, 'serve')
      await pod.line(/"msg":"ready"/, { signal })
      using cri = await connect(join(sockets, 'windlass.sock'), { signal })
      await cri.image.pullImage({ image: { image: shell } }, { signal })
      expect(await tagsIn(cri, { signal })).toEqual([shell])
      expectQuiet(pod.output())
    }
  })
})
