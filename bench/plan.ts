/** What a benchmark runs: cases, each one image on one kind of file system, pulled by some in turn. */
import { flag, oneOf, type Program, readArguments, someOf, type Values, whole } from '../scripts/options.ts'
import type { ContenderName } from './contender.ts'
import { FILE_SYSTEMS, type FileSystemName } from './file-system.ts'
import { IMAGES, type ImageName } from './images/images.ts'
import type { Compression } from './images/pack.ts'

export type Case = {
  readonly image: ImageName
  readonly compression: Compression
  readonly fs: FileSystemName
  /** The first is whom the others are compared with. */
  readonly contenders: readonly ContenderName[]
}

export type Plan = {
  readonly cases: readonly Case[]
  readonly runs: number
  readonly warmUp: boolean
  readonly rebuild: boolean
  readonly write: boolean
}

const COMPRESSIONS = ['gzip', 'zstd'] as const satisfies readonly Compression[]
const PEERS = ['containerd', 'podman'] as const

const options = {
  image: someOf(IMAGES, 'what is pulled'),
  compression: someOf(COMPRESSIONS, 'of its layers'),
  fs: someOf(FILE_SYSTEMS, 'what it is pulled onto'),
  peer: someOf([...PEERS, 'none'], 'whom it is compared with'),
  into: oneOf(['own', 'containerd'], undefined, 'where Windlass lands; debian in both without it, the others in its own store'),
  runs: whole('N', undefined, 'rounds, in each of which everybody pulls once (3, with --quick 1)'),
  quick: flag('what matters most, without a round to warm up; what is named by another option is never left out'),
  rebuild: flag('makes the images anew'),
  write: flag('for the record: writes bench/RESULTS.md and bench/results.svg'),
}

/** `needs` without the packages, which the benchmark itself knows. */
export const benchmark = (packages: readonly string[]): Program<typeof options> => ({
  command: 'npm run bench',
  about: `Cold pulls of images that are hard in different ways: Windlass, Debian's containerd and Debian's podman in turn, each run on a fresh
    file system, from Debian's registry on loopback; the daemons are up and empty before the clock starts. Times, CPU, memory, bytes written,
    medians and ratios pair by pair, and the floor that no puller is below.`,
  takes: `three quarters of an hour on two quiet cores, --quick six minutes, one image in one compression on one file system about three; the first time some
    minutes more for each image, which is made first`,
  root: true,
  needs: `the Debian packages ${packages.join(', ')}, which it installs by apt-get; the network, the first time; 5 GB in the
    temporary directory for all images and their registry, which stay there for the next time (1 GB for debian in gzip), and 4 GB of memory`,
  options,
  examples: [
    ['--image debian --compression gzip --fs tmpfs', 'the first figures of README: three rounds of four'],
    ['--quick', 'one round of what matters most'],
    ['--image layers-40 --peer containerd --runs 5', 'two of them, five times in turn'],
    ['--image debian --into containerd --peer none', 'Windlass alone, into a containerd'],
  ],
})

/** Throws what is wrong with the arguments, in a sentence. */
export const planOf = (args: readonly string[]): Plan => planFrom(readArguments(benchmark([]), args).values)

export function planFrom({ quick, rebuild, write, ...given }: Values<typeof options>): Plan {
  const { into, runs = quick ? 1 : 3, image: images = IMAGES } = given
  const { compression: compressions = COMPRESSIONS, fs: systems = FILE_SYSTEMS } = given
  const peers = PEERS.filter((peer) => given.peer?.includes(peer) ?? true)
  const all = images.flatMap((image) =>
    compressions.flatMap((compression) =>
      systems.map((fs): Case => ({ image, compression, fs, contenders: [...ours(image, into), ...peers] })),
    ),
  )
  // Named or not: what somebody asks for by name is never left out.
  const isAsked = ({ compression, fs, image }: Case): boolean =>
    (compression === 'gzip' || given.compression !== undefined) &&
    (fs === 'tmpfs' || image === 'debian' || given.fs !== undefined)
  const inHaste = ({ contenders, image, ...rest }: Case): Case => ({
    ...rest,
    image,
    contenders: contenders.filter(
      (name) => name !== 'podman' || given.peer !== undefined || (image === 'debian' && rest.fs === 'tmpfs'),
    ),
  })
  return { cases: quick ? all.filter(isAsked).map(inHaste) : all, runs, warmUp: !quick, rebuild, write }
}

/** The main image is also landed in a containerd, unless one of the two is asked for. */
function ours(image: ImageName, into: 'own' | 'containerd' | undefined): readonly ContenderName[] {
  if (into === 'containerd') return ['landing']
  return into === undefined && image === 'debian' ? ['windlass', 'landing'] : ['windlass']
}
