/** Images that podman cannot read: it must go on listing all others. */
import { describe, expect, it } from 'vitest'
import { hexOf, sha256 } from '../../src/oci/digest.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import {
  type BuiltImage,
  type BuiltIndex,
  buildImage,
  buildIndex,
  buildLayer,
  type ImageSpec,
  publish,
} from '../support/image.ts'
import { lacking } from './lacking.ts'
import { startNode } from './node.ts'
import { privatePodman } from './podman.ts'

const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
const here = { os: 'linux', architecture } as const
const layer = buildLayer({ tar: [{ name: 'file', content: 'x' }] })
const { descriptor } = layer
const gzip = { mediaType: descriptor.mediaType, digest: descriptor.digest, size: descriptor.size }

/** Documents that break no rule Windlass has, and that Go cannot parse. */
const documents: Readonly<
  Record<string, Pick<ImageSpec, 'config' | 'manifest'> & { readonly index?: Readonly<Record<string, unknown>> }>
> = {
  'created is no time': { config: { created: 'yesterday' } },
  'created is empty': { config: { created: '' } },
  'created has a day that does not exist': { config: { created: '2026-02-30T00:00:00Z' } },
  'history is no list': { config: { history: 'long' } },
  'history was made at no time': { config: { history: [{ created: 5 }] } },
  'the author is a number': { config: { author: 5 } },
  'fields have other names to Go': { config: { ſize: 'large' } },
  'docker has a size that is no integer': { config: { size: 5.5 } },
  'docker has a health check that is no list': { config: { config: { Healthcheck: { Test: 'true' } } } },
  'a volume is a number': { config: { config: { Volumes: { '/data': 5 } } } },
  'a port is named twice, once wrongly': { config: { config: { exposedPORTS: 5 } } },
  'a descriptor has URLs that are none': { manifest: { layers: [{ ...gzip, urls: 5 }] } },
  'a manifest has the history of schema 1': { manifest: { history: [] } },
  'an index has annotations that are none': { index: { annotations: { a: 5 } } },
  'an index has the history of schema 1': { index: { history: [] } },
}

/** An index of one image, with more in it. */
function indexWith(image: BuiltImage, more: Readonly<Record<string, unknown>>): BuiltIndex {
  const { bytes, descriptor, images } = buildIndex([image])
  const broken = Buffer.from(JSON.stringify({ ...JSON.parse(bytes.toString()), ...more }))
  return { bytes: broken, images, descriptor: { ...descriptor, digest: sha256(broken), size: broken.length } }
}

describe.skipIf(lacking('root', 'podman'))('podman goes on listing what it can read when there is an image of which', () => {
  it.for(Object.entries(documents))('%s', async ([, broken], { signal }) => {
    await using registry = await startRegistry()
    await using node = await startNode({ signal })
    const good = buildImage({ platform: here, layers: [layer] })
    const at = (name: string): string => `${registry.host}/test/${name}:1 true`
    publish(registry, 'test/good', '1', good)
    const bad = buildImage({ platform: here, layers: [layer], ...broken })
    const { index } = broken
    publish(registry, 'test/bad', '1', index === undefined ? bad : indexWith(bad, index))
    for (const name of ['good', 'bad']) await node.pull(`${registry.host}/test/${name}:1`, { signal })
    const reader = privatePodman(node.at('podman'), node.windlass.root, { signal })
    // Where both have one config they are one image, and go by the documents that can be read.
    const isOne = bad.id === good.id
    expect(await reader.images()).toEqual([...(isOne ? [at('bad')] : []), at('good')])
    expect(JSON.parse(await reader.podman('image', 'inspect', hexOf(good.id)))).toMatchObject([
      { Digest: good.descriptor.digest },
    ])
    expect(node.windlass.daemon.output()).toMatch(/could not read this image/)
    // It is podman that cannot, not we that think so.
    const own = privatePodman(node.at('own'), undefined, { signal })
    const pulled = async (): Promise<unknown> => {
      await own.podman('pull', '--quiet', '--tls-verify=false', `${registry.host}/test/bad:1`)
      return await own.images()
    }
    await expect(pulled()).rejects.toThrow()
  })
})
