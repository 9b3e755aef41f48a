/** What a benchmark runs: cases, each one image on one kind of file system, pulled by some in turn. */
import { parseArgs } from 'node:util'
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

/** Throws what is wrong with the arguments, in a sentence. */
export function planOf(args: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...args],
    options: {
      image: { type: 'string', multiple: true },
      compression: { type: 'string', multiple: true },
      fs: { type: 'string', multiple: true },
      peer: { type: 'string', multiple: true },
      into: { type: 'string' },
      runs: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rebuild: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
    },
  })
  const { quick, rebuild, write } = values
  const runs = Number(values.runs ?? (quick ? 1 : 3))
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: want a number of at least 1`)
  const into = values.into === undefined ? undefined : oneOf(['own', 'containerd'], values.into, '--into')
  const isNone = values.peer?.length === 1 && values.peer[0] === 'none'
  const peers = isNone ? [] : some(PEERS, values.peer, '--peer')
  const images = some(IMAGES, values.image, '--image')
  const compressions = some(COMPRESSIONS, values.compression, '--compression')
  const systems = some(FILE_SYSTEMS, values.fs, '--fs')
  const all = images.flatMap((image) =>
    compressions.flatMap((compression) =>
      systems.map((fs): Case => ({ image, compression, fs, contenders: [...ours(image, into), ...peers] })),
    ),
  )
  // Named or not: what somebody asks for by name is never left out.
  const isAsked = ({ compression, fs, image }: Case): boolean =>
    (compression === 'gzip' || values.compression !== undefined) &&
    (fs === 'tmpfs' || image === 'debian' || values.fs !== undefined)
  const inHaste = ({ contenders, image, ...rest }: Case): Case => ({
    ...rest,
    image,
    contenders: contenders.filter(
      (name) => name !== 'podman' || values.peer !== undefined || (image === 'debian' && rest.fs === 'tmpfs'),
    ),
  })
  return { cases: quick ? all.filter(isAsked).map(inHaste) : all, runs, warmUp: !quick, rebuild, write }
}

/** The main image is also landed in a containerd, unless one of the two is asked for. */
function ours(image: ImageName, into: 'own' | 'containerd' | undefined): readonly ContenderName[] {
  if (into === 'containerd') return ['landing']
  return into === undefined && image === 'debian' ? ['windlass', 'landing'] : ['windlass']
}

function some<T extends string>(choices: readonly T[], given: readonly string[] | undefined, option: string): readonly T[] {
  return given === undefined ? choices : given.map((each) => oneOf(choices, each, option))
}

function oneOf<T extends string>(choices: readonly T[], given: string, option: string): T {
  const found = choices.find((choice) => choice === given)
  if (found === undefined) throw new Error(`${option} ${given}: want ${choices.join(', ')}`)
  return found
}
