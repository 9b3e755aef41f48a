/** A file system for one run. */
import { readFileSync } from 'node:fs'
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Abortable } from '../src/task/task.ts'
import { mounted, run } from '../test/integration/process.ts'

export const FILE_SYSTEMS = ['tmpfs', 'ext4'] as const
export type FileSystemName = (typeof FILE_SYSTEMS)[number]

export interface FreshFileSystem extends AsyncDisposable {
  readonly path: string
  /** Brings everything to the device, and says how many bytes that has taken since it was made; undefined where there is no device. */
  written(options: Abortable): Promise<number | undefined>
}

const DEVICE_BYTES = 12 * 2 ** 30

/**
 * Never the same one twice: after a large delete ext4's inode allocator skips freed inodes for minutes, and creating a file takes ten
 * times as long.
 */
export async function freshFileSystem(name: FileSystemName, scratch: string, { signal }: Abortable): Promise<FreshFileSystem> {
  await using made = new AsyncDisposableStack()
  const path = join(scratch, 'fs')
  await mkdir(path, { recursive: true })
  if (name === 'tmpfs') {
    made.use(mounted(path, ['-t', 'tmpfs', '-o', 'size=80%,nr_inodes=0', 'tmpfs']))
    return { path, written: async () => undefined, [Symbol.asyncDispose]: disposal(made) }
  }
  const image = join(scratch, 'ext4.img')
  made.defer(() => rm(image, { force: true }))
  await writeFile(image, '')
  await truncate(image, DEVICE_BYTES)
  await run('mkfs.ext4', ['-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0,nodiscard', image], { signal })
  const device = (await run('losetup', ['--find', '--show', image], { signal })).trim()
  made.defer(async () => void (await run('losetup', ['--detach', device], { signal: AbortSignal.timeout(20_000) })))
  made.use(mounted(path, [device]))
  const before = bytesWritten(device)
  return {
    path,
    written: async (options) => {
      await run('sync', ['--file-system', path], options)
      return bytesWritten(device) - before
    },
    [Symbol.asyncDispose]: disposal(made),
  }
}

const disposal = (made: AsyncDisposableStack): (() => Promise<void>) => {
  const kept = made.move()
  return () => kept.disposeAsync()
}

/** The kernel's block/stat.rst: the seventh field counts sectors of 512 bytes that were written. */
function bytesWritten(device: string): number {
  const fields = readFileSync(`/sys/class/block/${basename(device)}/stat`, 'utf8')
    .trim()
    .split(/\s+/)
  return Number(fields[6]) * 512
}
