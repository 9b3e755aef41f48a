/** Lists of images, pulled by a real daemon before anybody asks: with a store of its own, and into containerd. */
import { writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Abortable } from '../../src/task/task.ts'
import { place } from '../credentials/places.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { buildImage, buildLayer, publish } from '../support/image.ts'
import { startContainerd } from './containerd.ts'
import { here, shellImage } from './images.ts'
import { lacking } from './lacking.ts'
import { auth, HEAD, settings } from './lists.ts'
import { eventually } from './node.ts'
import { mounted } from './process.ts'
import { startWindlass, type Windlass } from './windlass.ts'

const pinnedIn = async ({ cri }: Windlass, { signal }: Abortable): Promise<Readonly<Record<string, boolean>>> => {
  const { images } = await cri.image.listImages({}, { signal })
  return Object.fromEntries(images.flatMap(({ repoTags, pinned }) => repoTags.map((tag) => [tag, pinned])))
}

describe.skipIf(lacking('root', 'busybox'))('a daemon with lists', () => {
  it('pulls and pins what they declare, with their secrets; follows them; reads them anew at SIGHUP', async ({ signal }) => {
    await using registry = await startRegistry({ auth })
    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-prepull-'))
    for (const tag of ['1', '2']) publish(registry, 'test/shell', tag, shellImage())
    const [first, second] = ['1', '2'].map((tag) => `${registry.host}/test/shell:${tag}`)
    const { env, declare, login } = settings(dir.path)
    login(registry.host)
    declare(`${first}`)
    await using windlass = await startWindlass(dir.path, { signal, env })
    await eventually(async () => (await pinnedIn(windlass, { signal }))[`${first}`] === true, { signal, seconds: 25 })
    writeFileSync(join(dir.path, 'lists', 'bad.yaml'), `${HEAD}ImageList\nmetadata: {nam: x}\n`)
    process.kill(windlass.daemon.pid, 'SIGHUP')
    await windlass.daemon.line(/bad\.yaml:3: metadata\.nam: unknown key; perhaps name is meant/, { signal })
    writeFileSync(join(dir.path, 'lists', 'bad.yaml'), '')
    declare(`${second}`)
    await eventually(async () => `${second}` in (await pinnedIn(windlass, { signal })), { signal, seconds: 25 })
    expect(windlass.daemon.output()).not.toContain(auth.password)
  })

  it('takes an image from an archive, as it is called there or not at all, and never another for its digest', async ({
    signal,
  }) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-prepull-'))
    const { env, declare, archive } = settings(dir.path)
    const [image, other] = ['one', 'two'].map((content) =>
      buildImage({ platform: here, layers: [{ tar: [{ name: 'file', content }] }] }),
    )
    if (image === undefined || other === undefined) throw new Error('there are no images')
    // Nobody listens there: what came, came from the archive.
    const [named, nameless, digest] = ['named:1', 'nameless:1', `app@${image.descriptor.digest}`].map(
      (name) => `127.0.0.1:1/${name}`,
    )
    archive('named', image, named)
    archive('nameless', image)
    archive('other', other, `${nameless}`)
    declare(
      { image: named, archive: 'named' },
      { image: nameless, archive: 'nameless', imagePullPolicy: 'Always' },
      { image: digest, archive: 'other' },
      { image: `${named}-else`, archive: 'named' },
    )
    await using windlass = await startWindlass(dir.path, { signal, env })
    const refusals = [
      /127\.0\.0\.1:1\/app@sha256:[0-9a-f]+: not found \(.*other: holds sha256:/,
      /holds no image .*named:1-else; it has .*named:1/,
    ]
    for (const refusal of refusals) await windlass.daemon.line(refusal, { signal })
    const pinned = await pinnedIn(windlass, { signal })
    expect(pinned).toEqual({ [`${named}`]: true, [`${nameless}`]: true })
    expect((await windlass.cri.image.imageStatus({ image: { image: `${named}` } }, { signal })).image?.id).toBe(image.id)
  })

  it('asks kubelet’s plugins for what its secrets say nothing of', async ({ signal }) => {
    await using registry = await startRegistry({ auth })
    publish(registry, 'test/shell', '1', shellImage())
    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-prepull-'))
    using at = place()
    const V1 = 'credentialprovider.kubelet.k8s.io/v1'
    const configPath = at.file('providers.yaml', {
      apiVersion: 'kubelet.config.k8s.io/v1',
      kind: 'CredentialProviderConfig',
      providers: [{ name: 'cloud', matchImages: [registry.host], defaultCacheDuration: '12h', apiVersion: V1 }],
    })
    const { username, password } = auth
    const answer = {
      apiVersion: V1,
      kind: 'CredentialProviderResponse',
      cacheKeyType: 'Registry',
      auth: { [registry.host]: { username, password } },
    }
    at.program('cloud', `echo '${JSON.stringify(answer)}'`)
    const { env, declare, login } = settings(dir.path, { credentialProvider: { configPath, binDir: at.path } })
    login('another.example')
    const reference = `${registry.host}/test/shell:1`
    declare(reference)
    await using windlass = await startWindlass(dir.path, { signal, env })
    await eventually(async () => (await pinnedIn(windlass, { signal }))[reference] === true, { signal, seconds: 25 })
    expect(at.calls('cloud')).toEqual([expect.stringContaining(`"image":"${registry.host}/test/shell"`)])
    expect(windlass.daemon.output()).not.toContain(password)
  })

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'that ends by %s in the middle of a pull takes it up again',
    async (name) => {
      const signal = AbortSignal.timeout(100_000)
      await using registry = await startRegistry()
      await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-prepull-'))
      const layers = [80_000_000, 1_000].map((size) =>
        buildLayer({ tar: [{ name: `${size}`, content: Buffer.alloc(size) }], compression: 'none' }),
      )
      publish(registry, 'test/large', '1', buildImage({ platform: here, layers }))
      const reference = `${registry.host}/test/large:1`
      const { env, declare } = settings(dir.path, { maxBytesPerSecond: '5M' })
      declare(reference)
      const first = await startWindlass(dir.path, { signal, env })
      const large = layers[0]?.descriptor.digest
      await eventually(async () => (await bytesOf(first, large, { signal })) > 4_000_000, { signal, seconds: 25 })
      const told = performance.now()
      await first.daemon.stop(name)
      // The rest of the layer would take 15 s at this rate.
      expect(performance.now() - told).toBeLessThan(10_000)
      first.cri[Symbol.dispose]()
      settings(dir.path)
      await using second = await startWindlass(dir.path, { signal, env })
      await eventually(async () => (await pinnedIn(second, { signal }))[reference] === true, { signal, seconds: 50 })
    },
    120_000,
  )
})

/** How much of a layer has come. */
async function bytesOf({ cri }: Windlass, digest: string | undefined, { signal }: Abortable): Promise<number> {
  const { pulls } = await cri.windlass.listPulls({}, { signal })
  return pulls.flatMap(({ layers }) => layers).find((layer) => layer.digest === digest)?.bytes ?? 0
}

describe.skipIf(lacking('root', 'containerd', 'busybox'))('beside containerd', () => {
  it('they land there with a time and a pin, which is read back through CRI, and are let go of', async ({ signal }) => {
    await using registry = await startRegistry()
    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-prepull-'))
    using _mounted = mounted(dir.path, ['-t', 'tmpfs', '-o', 'size=1g,nr_inodes=0', 'tmpfs'])
    publish(registry, 'test/shell', '1', shellImage())
    const reference = `${registry.host}/test/shell:1`
    await using containerd = await startContainerd(join(dir.path, 'containerd'), { signal })
    const { env, declare, login } = settings(dir.path)
    login(registry.host)
    declare(reference)
    await using windlass = await startWindlass(join(dir.path, 'windlass'), { signal, env, runtime: containerd })
    await eventually(async () => reference in (await pinnedIn(windlass, { signal })), { signal, seconds: 25 })
    const { runtimeVersion } = await containerd.cri.runtime.version({}, { signal })
    const isOld = /^v?1\.[0-6]\./.test(runtimeVersion)
    const week = Date.now() + 7 * 24 * 3_600_000
    const state = async () => (await windlass.cri.windlass.listQueue({}, { signal })).declared?.images[0]
    await eventually(async () => (await state())?.state === 'here', { signal, seconds: 25 })
    expect(await state()).toMatchObject({ list: 'base', reference, isProtected: !isOld })
    expect(await pinnedIn(windlass, { signal })).toMatchObject({ [reference]: !isOld })
    if (isOld) await windlass.daemon.line(/unprotected: the runtime shows no pin of it/, { signal })
    const detail = await windlass.cri.windlass.inspectImage({ image: reference }, { signal })
    expect(detail.pins).toEqual([expect.objectContaining({ owner: 'prepull:base' })])
    for (const time of [detail.expiresAtMs, detail.pins[0]?.untilMs ?? 0]) expect(Math.abs(time - week)).toBeLessThan(60_000)
    declare()
    await windlass.daemon.line(/declared no more: unpinned/, { signal })
    expect(await pinnedIn(windlass, { signal })).toMatchObject({ [reference]: false })
    expect((await windlass.cri.windlass.inspectImage({ image: reference }, { signal })).pins).toEqual([])
  })
})
