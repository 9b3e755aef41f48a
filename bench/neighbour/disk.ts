/** A fresh ext4 in a file for each run, as slow as it is told to be: a disk as fast as a test machine's memory shows nothing. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Abortable } from '../../src/task/task.ts'
import { mounted, run } from '../../test/integration/process.ts'

const SIZE = 6 * 2 ** 30
/** cgroup version 1's limit on a device (blkio-controller.rst); version 2 has none for all of a device. */
const limitFile = (what: 'bps' | 'iops'): string => `/sys/fs/cgroup/blkio/blkio.throttle.write_${what}_device`

export const canLimit = (): boolean => existsSync(limitFile('bps'))

export type Speed = { readonly bytesPerSecond: number; readonly writesPerSecond: number }

/** Writes no faster, where the machine can hold it to that. */
export async function freshDisk(
  scratch: string,
  { bytesPerSecond, writesPerSecond }: Speed,
  { signal }: Abortable,
): Promise<AsyncDisposable & { readonly path: string }> {
  await using made = new AsyncDisposableStack()
  const [path, image] = [join(scratch, 'disk'), join(scratch, 'disk.img')]
  await mkdir(path, { recursive: true })
  made.defer(() => rm(image, { force: true }))
  await writeFile(image, '')
  await truncate(image, SIZE)
  await run('mkfs.ext4', ['-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0,nodiscard', image], { signal })
  // Past the page cache of the file system below: else that one's memory would take what this one syncs.
  const device = (await run('losetup', ['--find', '--show', '--direct-io=on', image], { signal })).trim()
  made.defer(async () => void (await run('losetup', ['--detach', device], { signal: new AbortController().signal })))
  if (canLimit()) {
    const number = readFileSync(`/sys/class/block/${device.replace('/dev/', '')}/dev`, 'utf8').trim()
    for (const [what, limit] of [
      ['bps', bytesPerSecond],
      ['iops', writesPerSecond],
    ] as const) {
      made.defer(() => writeFileSync(limitFile(what), `${number} 0`))
      writeFileSync(limitFile(what), `${number} ${limit}`)
    }
  }
  const mount = mounted(path, [device])
  made.defer(() => mount[Symbol.dispose]())
  const kept = made.move()
  return { path, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}
