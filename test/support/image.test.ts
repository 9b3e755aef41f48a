import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { sha256 } from '../../src/oci/digest.ts'
import { parseConfig, parseManifestOrIndex } from '../../src/oci/parse.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { buildImage, buildIndex, buildLayer, publish } from './image.ts'

it.each(['oci', 'docker'] as const)('builds %s images that our own parsers take, and serves them', async (flavour) => {
  const base = buildLayer({ tar: [{ name: 'a', content: 'base' }] }, flavour)
  const images = (['amd64', 'arm64'] as const).map((architecture) =>
    buildImage({
      flavour,
      platform: { os: 'linux', architecture },
      layers: [base, { tar: [{ name: 'b', content: architecture }], compression: 'zstd' }],
      run: { Cmd: ['/b'] },
    }),
  )
  const index = buildIndex(images, flavour)
  await using registry = await startRegistry()
  publish(registry, 'team/app', '1', index)
  const answer = await fetch(`${registry.origin}/v2/team/app/manifests/1`)
  const parsed = parseManifestOrIndex(new Uint8Array(await answer.arrayBuffer()), index.descriptor, 'here')
  expect(parsed).toMatchObject({
    kind: 'index',
    manifests: [{ platform: { architecture: 'amd64' } }, { platform: { architecture: 'arm64' } }],
  })

  const [image] = images
  if (image === undefined) throw new Error('no image')
  const manifest = parseManifestOrIndex(image.bytes, image.descriptor, 'here')
  if (manifest.kind !== 'manifest') throw new Error('no manifest')
  expect(manifest.layers.map(({ digest }) => digest)).toEqual(image.layers.map(({ blob }) => sha256(blob)))
  const config = parseConfig(image.config, manifest.config, 'here', manifest.layers.length)
  expect(config.run.cmd).toEqual(['/b'])
  expect(config.diffIds).toEqual([
    sha256(gunzipSync(image.layers[0]?.blob ?? '')),
    sha256(zstdDecompressSync(image.layers[1]?.blob ?? '')),
  ])
  for (const { digest } of manifest.layers)
    expect((await fetch(`${registry.origin}/v2/team/app/blobs/${digest}`)).status).toBe(200)
})
