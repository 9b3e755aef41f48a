import { describe, expect, it } from 'vitest'
import { sha256 } from '../../src/oci/digest.ts'
import { type Descriptor, type Index, mediaTypes } from '../../src/oci/oci.ts'
import {
  formatPlatform,
  hostPlatform,
  matches,
  normalizePlatform,
  offered,
  parsePlatform,
  selectManifest,
} from '../../src/platform/platform.ts'

const entry = (platform: string | undefined, more: Partial<Descriptor> = {}): Descriptor => {
  const [os, architecture, variant] = platform?.split('/') ?? []
  return {
    mediaType: mediaTypes.ociManifest,
    digest: sha256(`${platform}${JSON.stringify(more)}`),
    size: 7,
    ...(os === undefined || architecture === undefined
      ? {}
      : { platform: { os, architecture, ...(variant === undefined ? {} : { variant }) } }),
    ...more,
  }
}
const index = (...manifests: Descriptor[]): Index => ({ kind: 'index', mediaType: mediaTypes.ociIndex, manifests })
const choose = (want: string, ...offers: string[]): string | undefined => {
  const found = selectManifest(index(...offers.map((offer) => entry(offer))), parsePlatform(want))
  return found?.platform && formatPlatform(found.platform)
}

describe('selectManifest', () => {
  it.each([
    ['linux/amd64', ['linux/arm64', 'linux/amd64'], 'linux/amd64'],
    ['linux/amd64', ['linux/386', 'linux/amd64'], 'linux/amd64'],
    ['linux/amd64', ['linux/386'], 'linux/386'],
    ['linux/amd64', ['linux/constructor', 'linux/__proto__', 'linux/amd64'], 'linux/amd64'],
    ['linux/amd64', ['linux/amd64/v2'], undefined],
    ['linux/amd64', ['linux/amd64/v1'], 'linux/amd64/v1'],
    ['linux/amd64/v3', ['linux/amd64', 'linux/amd64/v4', 'linux/amd64/v2'], 'linux/amd64/v2'],
    ['linux/amd64/v3', ['linux/amd64'], 'linux/amd64'],
    ['linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6'], 'linux/arm/v6'],
    ['linux/arm/v7', ['linux/arm', 'linux/arm/v6'], 'linux/arm'],
    ['linux/arm/v6', ['linux/arm/v7'], undefined],
    ['linux/arm64', ['linux/arm64/v8', 'linux/arm/v7'], 'linux/arm64/v8'],
    ['linux/arm64', ['linux/arm/v6', 'linux/arm/v7'], 'linux/arm/v7'],
    ['linux/arm64', ['linux/arm64/v9'], undefined],
    ['linux/arm64/v9', ['linux/arm64', 'linux/arm64/v8.5'], 'linux/arm64/v8.5'],
    ['linux/arm64/v9.2', ['linux/arm64/v9', 'linux/arm64'], 'linux/arm64/v9'],
    ['linux/arm64/v8.2', ['linux/arm64/v8.3', 'linux/arm64'], 'linux/arm64'],
    ['linux/s390x', ['linux/amd64', 'linux/arm64'], undefined],
    ['linux/amd64', ['windows/amd64'], undefined],
    ['linux/aarch64', ['linux/arm64'], 'linux/arm64'],
    ['linux/amd64', ['linux/x86_64'], 'linux/x86_64'],
  ])('%s from %j is %s', (want, offers, chosen) => {
    expect(choose(want, ...offers)).toBe(chosen)
  })

  it('takes the first of equals', () => {
    const [first, second] = [entry('linux/amd64'), entry('linux/amd64', { size: 8 })]
    expect(selectManifest(index(first, second), parsePlatform('linux/amd64'))).toBe(first)
  })

  it('takes an entry without platform only when nothing else fits, and never an attestation', () => {
    const [nameless, fitting] = [entry(undefined), entry('linux/amd64')]
    const attestation = entry(undefined, { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } })
    expect(selectManifest(index(nameless, fitting), parsePlatform('linux/amd64'))).toBe(fitting)
    expect(selectManifest(index(attestation, nameless), parsePlatform('linux/amd64'))).toBe(nameless)
    expect(
      selectManifest(index(attestation, entry('unknown/unknown')), { os: 'unknown', architecture: 'unknown' }),
    ).toBeUndefined()
  })
})

it('offers every platform once, Windows with its version, attestations not at all', () => {
  const windows = entry(undefined, { platform: { os: 'windows', architecture: 'amd64', osVersion: '10.0.20348' } })
  const all = index(
    entry('linux/amd64'),
    entry('unknown/unknown'),
    entry('linux/arm64/v8'),
    entry('linux/amd64'),
    windows,
    entry(undefined),
  )
  expect(offered(all)).toEqual(['linux/amd64', 'linux/arm64', 'windows(10.0.20348)/amd64'])
})

it('checks a single image against the node', () => {
  expect(matches({ os: 'linux', architecture: 'arm', variant: 'v6' }, parsePlatform('arm64'))).toBe(true)
  expect(matches({ os: 'linux', architecture: 'arm64' }, parsePlatform('linux/amd64'))).toBe(false)
})

it('parses what people write and refuses the rest', () => {
  expect(parsePlatform('aarch64')).toEqual({ os: 'linux', architecture: 'arm64' })
  expect(parsePlatform('linux/armhf')).toEqual({ os: 'linux', architecture: 'arm', variant: 'v7' })
  expect(parsePlatform('linux/arm/6')).toEqual({ os: 'linux', architecture: 'arm', variant: 'v6' })
  expect(parsePlatform('Linux/AMD64/v1')).toEqual({ os: 'linux', architecture: 'amd64' })
  for (const bad of ['', 'linux', 'linux/', '/amd64', 'linux/amd64/v2/x', 'linux/am d64', 'a'.repeat(65)]) {
    expect(() => parsePlatform(bad), bad).toThrow(/invalid platform/)
  }
})

it('knows this node', () => {
  const host = hostPlatform()
  expect(host.os).toBe('linux')
  expect(normalizePlatform(host)).toEqual(host)
  expect(host.architecture).not.toBe('x64')
})
