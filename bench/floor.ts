/**
 * What cannot be left out: the image's bytes over loopback, both SHA-256, inflating, and the files of the tars, each by the fastest program
 * there is for it, in CPU seconds. Divided among the CPUs they are the time that no puller is below that does all of it.
 */
import { mkdir, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Abortable } from '../src/task/task.ts'
import { run } from '../test/integration/process.ts'
import { freshFileSystem } from './file-system.ts'
import type { BenchImage } from './images/images.ts'

const STEPS = ['transfer', 'inflate', 'sha256', 'files'] as const
/** CPU seconds. */
export type Floor = Readonly<Record<(typeof STEPS)[number], number>>

export const floorCpu = (floor: Floor): number => STEPS.reduce((sum, step) => sum + floor[step], 0)
export const floorSeconds = (floor: Floor): number => floorCpu(floor) / availableParallelism()

/** On a tmpfs of its own, layer by layer. */
export async function measureFloor(image: BenchImage, reference: string, scratch: string, options: Abortable): Promise<Floor> {
  await using fs = await freshFileSystem('tmpfs', scratch, options)
  const [host = '', repository = ''] = [reference.slice(0, reference.indexOf('/')), reference.slice(reference.indexOf('/') + 1)]
  const blobs = `http://${host}/v2/${repository.replace(/:[^:]*$/, '')}/blobs`
  const inflate = image.compression === 'zstd' ? ['zstd', '-dcq'] : ['igzip', '-dc']
  const sum = { transfer: 0, inflate: 0, sha256: 0, files: 0 }
  for (const { blob } of image.layers) {
    const [packed, tar, tree] = [blob.file, join(fs.path, 'layer.tar'), join(fs.path, 'tree')]
    await mkdir(tree)
    sum.transfer += await cpuOf(['curl', '-sSf', '-o', '/dev/null', `${blobs}/${blob.digest}`], options)
    sum.inflate += await cpuOf([...inflate, packed], options)
    await run('sh', ['-c', '"$@" > "$0"', tar, ...inflate, packed], options)
    for (const file of [packed, tar]) sum.sha256 += await cpuOf(['openssl', 'dgst', '-sha256', file], options)
    sum.files += await cpuOf(['tar', '--numeric-owner', '--xattrs', '-xf', tar, '-C', tree], options)
    await Promise.all([rm(tar), rm(tree, { recursive: true })])
  }
  return sum
}

/** Of one program, whose output nobody wants; bash tells a child's own times where Node does not. */
async function cpuOf(command: readonly string[], options: Abortable): Promise<number> {
  const script = 'TIMEFORMAT="%U %S"; { time "$@" >/dev/null 2>"$0"; } 2>&1'
  const times = await run('bash', ['-c', `set -e; ${script}`, '/dev/null', ...command], options)
  const [user = Number.NaN, system = Number.NaN] = times.trim().split(' ').map(Number)
  if (Number.isNaN(user + system)) throw new Error(`${command[0]} tells no times: ${times}`)
  return user + system
}
