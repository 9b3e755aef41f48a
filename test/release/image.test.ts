/**
 * The Dockerfile, built by buildah; Windlass pulls what comes out, and it is run as the chart's DaemonSet says: on a read-only root, with its
 * rights and volumes, beside a containerd that gets what the lists declare.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtempDisposable, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { top } from '../../scripts/release/compile.ts'
import type { Abortable } from '../../src/task/task.ts'
import { type Containerd, startContainerd } from '../integration/containerd.ts'
import { shellImage } from '../integration/images.ts'
import { lacking } from '../integration/lacking.ts'
import { eventually, startNode } from '../integration/node.ts'
import { run, start } from '../integration/process.ts'
import { main } from '../integration/windlass.ts'
import { startRegistry, type TestRegistry } from '../registry/embedded-registry.ts'
import { publish } from '../support/image.ts'
import { buildBase, npmCache, npmrc, runtimeBase } from './bases.ts'
import { type Container, containerOf } from './daemonset.ts'

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

/** Makes the bundle's container one of the DaemonSet's. */
function asDeclared(bundle: string, { args, capabilities: caps, readOnlyRoot, noNewPrivileges, mounts }: Container): void {
  const file = join(bundle, 'config.json')
  const { process: own, root, linux, ...rest } = bundleConfig.parse(JSON.parse(readFileSync(file, 'utf8')))
  const made = {
    ...rest,
    process: {
      ...own,
      // The image's Entrypoint stays.
      args: [...own.args.slice(0, 2), ...args],
      capabilities: { bounding: caps, effective: caps, permitted: caps },
      noNewPrivileges,
    },
    root: { ...root, readonly: readOnlyRoot },
    mounts: [...rest.mounts, ...mounts],
    // As runtimes have it by default: device nodes of layers are made, and cannot be opened.
    linux: {
      ...linux,
      resources: {
        ...linux.resources,
        devices: [
          { allow: false, access: 'rwm' },
          { allow: true, access: 'm', type: 'c' },
          { allow: true, access: 'm', type: 'b' },
        ],
      },
    },
  }
  writeFileSync(file, JSON.stringify(made))
}

const tagsIn = async ({ cri }: Containerd, options: Abortable): Promise<readonly string[]> =>
  (await cri.image.listImages({}, options)).images.flatMap(({ repoTags }) => repoTags)

describe.skipIf(lacking('root', 'buildah', 'runc', 'busybox', 'npm', 'ldd', 'containerd'))('the image', () => {
  it('is built, pulled by Windlass, and pulls into containerd', { timeout: 1_200_000 }, async ({ signal }) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-image-'))
    const layout = await build(dir.path, { signal })
    await using registry = await startRegistry()
    const reference = await publishLayout(registry, layout)
    await using node = await startNode({ signal })
    await node.pull(reference, { signal })

    const cli = (...args: readonly string[]) =>
      run(process.execPath, [main, '--socket', node.windlass.socket, ...args], { signal })
    const runc = ['--root', node.at('runc')]
    const [shown, served] = [node.at('shown'), node.at('served')]
    await cli('bundle', reference, shown, '--', 'version')
    const version = await run('runc', [...runc, 'run', '--bundle', shown, `windlass-version-${process.pid}`], { signal })
    expect(version).toContain(`(Node ${process.version})`)
    await cli('unmount', shown)

    publish(registry, 'test/shell', '1', shellImage())
    const declared = `${registry.host}/test/shell:1`
    const runtimeDir = node.at('containerd')
    await using containerd = await startContainerd(runtimeDir, { signal })
    const container = containerOf(
      {
        rootDir: node.at('own'),
        runtime: {
          kind: 'containerd',
          socketDir: runtimeDir,
          endpoint: `unix://${containerd.socket}`,
          rootDir: join(runtimeDir, 'root'),
          configDir: node.at('configuration'),
        },
        lists: [{ name: 'base', images: [{ image: declared }] }],
        config: { prepull: { minFreePercent: 1 } },
        // The host's network is the container's here, and its ports may be taken.
        metrics: { port: 0 },
      },
      node.at('volumes'),
    )
    await cli('bundle', '--network', 'host', reference, served)
    asDeclared(served, container)
    {
      await using pod = start('runc', [...runc, 'run', '--bundle', served, `windlass-serve-${process.pid}`])
      await pod.line(/"msg":"pulls land in the runtime"/, { signal })
      await eventually(async () => (await tagsIn(containerd, { signal })).includes(declared), { signal, seconds: 60 })
      expect(pod.output()).not.toContain('more rights than they need')
      expect(pod.output()).not.toContain('"level":"error"')
    }
    {
      await using _view = await containerd.mount(declared, node.at('view'), { signal })
      expect(readFileSync(join(node.at('view'), 'etc/replaced'), 'utf8')).toBe('from the middle\n')
    }
    await cli('unmount', served)
  })
})
