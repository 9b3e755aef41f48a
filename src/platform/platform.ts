/**
 * What this node runs, and which manifest of an index fits it best. The rules for names and fallbacks are containerd's (platforms
 * package, 2.x), so that a pull picks what the node's runtime would have picked; os.version and os.features count for Windows alone.
 */
import { endianness, machine } from 'node:os'
import { fail } from '../failure/failure.ts'
import { type Descriptor, type Index, mediaTypes, type Platform } from '../oci/oci.ts'

/** Go's names for Node's `process.arch`. */
const GOARCH: Readonly<Partial<Record<string, string>>> = {
  x64: 'amd64',
  ia32: '386',
  mipsel: 'mipsle',
  ppc64: endianness() === 'LE' ? 'ppc64le' : 'ppc64',
}
const KNOWN_ARCHITECTURES = new Set([
  'amd64',
  'arm64',
  'arm',
  '386',
  'ppc64le',
  's390x',
  'riscv64',
  'loong64',
  'mips64le',
  'x86_64',
  'aarch64',
])
/** No object: an index may call an architecture `constructor`. */
const ALIASES: ReadonlyMap<string, readonly [architecture: string, variant?: string]> = new Map([
  ['x86_64', ['amd64']],
  ['x86-64', ['amd64']],
  ['aarch64', ['arm64']],
  ['i386', ['386', '']],
  ['armhf', ['arm', 'v7']],
  ['armel', ['arm', 'v6']],
])

/** The platform of this node. amd64 and arm64 come without a variant, as containerd reports them; arm has the kernel's. */
export function hostPlatform(): Platform {
  const architecture = GOARCH[process.arch] ?? process.arch
  if (architecture !== 'arm') return { os: 'linux', architecture }
  const version = /^armv([5-8])/.exec(machine())?.[1] ?? (machine() === 'aarch64' ? '8' : '7')
  return { os: 'linux', architecture, variant: `v${version}` }
}

/** Parses `os/architecture[/variant]`, or an architecture alone for linux. Throws invalid-argument. */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/')
  const refuse = (reason: string): never =>
    fail({ kind: 'invalid-argument', what: `platform ${JSON.stringify(text.slice(0, 100))}`, reason })
  if (!parts.every((part) => /^[\w.-]{1,64}$/.test(part)))
    refuse('want os/architecture[/variant], such as linux/arm64 or linux/arm/v7')
  const [first, second, variant, ...more] = parts
  if (first === undefined || more.length > 0) return refuse('want at most os/architecture/variant')
  if (second !== undefined)
    return normalizePlatform({ os: first, architecture: second, ...(variant === undefined ? {} : { variant }) })
  if (!KNOWN_ARCHITECTURES.has(first.toLowerCase())) refuse('want os/architecture, such as linux/amd64')
  return normalizePlatform({ os: 'linux', architecture: first })
}

/** `os/architecture[/variant]`, with a Windows version as `windows(10.0.20348)/amd64`. */
export const formatPlatform = ({ os, architecture, variant, osVersion }: Platform): string =>
  [osVersion === undefined || osVersion === '' ? os : `${os}(${osVersion})`, architecture, ...(variant ? [variant] : [])].join(
    '/',
  )

/** One name for each platform: lower case, Go's architectures, no variant for amd64 v1 and arm64 v8, v7 for arm without one. */
export function normalizePlatform(platform: Platform): Platform {
  const written = platform.architecture.toLowerCase()
  const [architecture, fixed] = ALIASES.get(written) ?? [written]
  const variant = normalizeVariant(architecture, fixed ?? platform.variant?.toLowerCase() ?? '')
  const os = platform.os.toLowerCase()
  return {
    os: os === 'macos' ? 'darwin' : os,
    architecture,
    ...(variant === '' ? {} : { variant }),
    ...(platform.osVersion === undefined ? {} : { osVersion: platform.osVersion }),
  }
}

function normalizeVariant(architecture: string, written: string): string {
  const variant = /^\d/.test(written) ? `v${written}` : written
  if (architecture === 'amd64' && variant === 'v1') return ''
  if (architecture === 'arm64' && (variant === 'v8' || variant === 'v8.0')) return ''
  if (architecture === 'arm' && variant === '') return 'v7'
  return variant
}

/**
 * The manifest of `index` that suits `want` best: the exact platform, else the nearest lesser variant, else the 32-bit architecture the
 * CPU also runs; of equals the first (image-spec image-index.md). An entry without a platform is the last resort: the caller checks its
 * config with `matches`. Attestations are never chosen.
 */
export function selectManifest(index: Index, want: Platform): Descriptor | undefined {
  const candidates = index.manifests.filter((descriptor) => !isAttestation(descriptor))
  for (const acceptable of fallbacks(normalizePlatform(want))) {
    const found = candidates.find(({ platform }) => platform !== undefined && same(normalizePlatform(platform), acceptable))
    if (found !== undefined) return found
  }
  return candidates.find(({ platform, mediaType }) => platform === undefined && IMAGE_TYPES.has(mediaType))
}

/** True if an image for `have` runs where `want` is asked for. */
export function matches(have: Platform, want: Platform): boolean {
  const normal = normalizePlatform(have)
  return fallbacks(normalizePlatform(want)).some((acceptable) => same(normal, acceptable))
}

/** The platforms an index has images for, each once, in its order: what a person is told when none fits. */
export const offered = (index: Index): string[] => [
  ...new Set(
    index.manifests.flatMap((d) =>
      d.platform === undefined || isAttestation(d) ? [] : [formatPlatform(normalizePlatform(d.platform))],
    ),
  ),
]

const IMAGE_TYPES = new Set<string>([
  mediaTypes.ociManifest,
  mediaTypes.dockerManifest,
  mediaTypes.ociIndex,
  mediaTypes.dockerList,
])

/** BuildKit stores provenance and SBOMs as manifests for unknown/unknown. */
export const isAttestation = ({ platform, annotations }: Descriptor): boolean =>
  platform?.os === 'unknown' ||
  platform?.architecture === 'unknown' ||
  annotations?.['vnd.docker.reference.type'] === 'attestation-manifest'

const same = (a: Platform, b: Platform): boolean =>
  a.os === b.os &&
  a.architecture === b.architecture &&
  (a.variant ?? '') === (b.variant ?? '') &&
  (a.os !== 'windows' || b.osVersion === undefined || a.osVersion === b.osVersion)

/** `want` and what else runs there, best first. `want` is normalized, and so is every answer. */
function fallbacks(want: Platform): Platform[] {
  const { os, variant = '' } = want
  const as = (architecture: string, variants: readonly string[]): Platform[] =>
    variants.map((v) => normalizePlatform({ os, architecture, ...(v === '' ? {} : { variant: v }) }))
  switch (want.architecture) {
    case 'amd64':
      return [want, ...as('amd64', lesser(variant, 1)), { os, architecture: '386' }]
    case 'arm':
      return [want, ...as('arm', lesser(variant, 5))]
    case 'arm64':
      return [want, ...as('arm64', lesserArm64(variant)), ...as('arm', ['v8', 'v7', 'v6', 'v5'])]
    default:
      return [want]
  }
}

/** `v3` with lowest 1: v2, v1. */
function lesser(variant: string, lowest: number): string[] {
  const version = Number(/^v(\d)$/.exec(variant)?.[1] ?? lowest)
  return Array.from({ length: version - lowest }, (_, i) => `v${version - 1 - i}`)
}

/** v9.x runs v9.0 to v9.(x-1) and, since v9.0 branched off v8.5, v8.0 to v8.(x+5); v8.x runs v8.0 to v8.(x-1). */
function lesserArm64(variant: string): string[] {
  const [, major, minor = '0'] = /^v([89])(?:\.(\d))?$/.exec(variant) ?? []
  const below = (of: string, from: number): string[] =>
    Array.from({ length: Math.max(from + 1, 0) }, (_, i) => (from === i ? `v${of}` : `v${of}.${from - i}`))
  if (major === '9') return [...below('9', Number(minor) - 1), ...below('8', Number(minor) + 5)]
  return major === '8' ? below('8', Number(minor) - 1) : []
}
