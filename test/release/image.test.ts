/** The Dockerfile, built by buildah; Windlass pulls what comes out, and runs it: on a read-only root, with the rights that it says. */
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtempDisposable, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { top } from '../../scripts/release/compile.ts'
import { connect } from '../../src/rpc/client.ts'
import type { Abortable } from '../../src/task/task.ts'
import { shellImage } from '../integration/images.ts'
import { lacking } from '../integration/lacking.ts'
import { startNode } from '../integration/node.ts'
import { run, start } from '../integration/process.ts'
import { main } from '../integration/windlass.ts'
import { startRegistry, type TestRegistry } from '../registry/embedded-registry.ts'
import { publish } from '../support/image.ts'
import { buildBase, npmCache, npmrc, runtimeBase } from './bases.ts'

const descriptor = z.object({ digest: z.string(), mediaType: z.string() })
const layoutIndex = z.object({ manifests: z.tuple([descriptor]) })
const imageManifest = z.object({ config: descriptor, layers: z.array(descriptor) })

/** What the DaemonSet's container has, in deploy/; test/deploy/chart.test.ts holds that to the unit's. */
const CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'MKNOD', 'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_ADMIN']

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

/** As a DaemonSet has it: these rights, a root that nobody writes to, and directories of the node. */
function asOnANode(bundle: string, args: readonly string[], binds: Readonly<Record<string, string>>): void {
  const file = join(bundle, 'config.json')
  const config = bundleConfig.parse(JSON.parse(readFileSync(file, 'utf8')))
  const caps = CAPABILITIES.map((name) => `CAP_${name}`)
  const mounts = Object.entries(binds).map(([destination, source]) => ({
    destination,
    source,
    type: 'bind',
    options: ['bind', 'rw'],
  }))
  const made = {
    ...config,
    process: {
      ...config.process,
      // In place of its Cmd, which is one word.
      args: [...config.process.args.slice(0, -1), ...args],
      capabilities: { bounding: caps, effective: caps, permitted: caps },
    },
    root: { ...config.root, readonly: true },
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

describe.skipIf(lacking('root', 'buildah', 'runc', 'busybox', 'npm', 'ldd'))('the image', () => {
  it('is built, pulled by Windlass, and pulls', { timeout: 1_200_000 }, async ({ signal }) => {
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

    await cli('bundle', '--network', 'host', reference, served)
    const [root, sockets, cache] = [node.at('own/lib'), node.at('own/run'), node.at('own/cache')]
    for (const path of [root, sockets, cache]) await mkdir(path, { recursive: true })
    asOnANode(served, ['serve', '--runtime', 'none'], {
      '/var/lib/windlass': root,
      '/run/windlass': sockets,
      '/var/cache/windlass': cache,
    })
    {
      await using container = start('runc', [...runc, 'run', '--bundle', served, `windlass-serve-${process.pid}`])
      await container.line(/"msg":"ready"/, { signal })
      using cri = await connect(join(sockets, 'windlass.sock'), { signal })
      publish(registry, 'test/shell', '1', shellImage())
      await cri.image.pullImage({ image: { image: `${registry.host}/test/shell:1` } }, { signal })
      const { images } = await cri.image.listImages({}, { signal })
      expect(images.map(({ repoTags }) => repoTags)).toEqual([[`${registry.host}/test/shell:1`]])
      expect(container.output()).not.toContain('more rights than they need')
      expect(container.output()).not.toContain('"level":"error"')
    }
    await cli('unmount', served)
  })
})
