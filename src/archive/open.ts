/** Opens an archive of images, whatever form it has. */
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs'
import { fail } from '../failure/failure.ts'
import type { Abortable } from '../task/task.ts'
import { codecOf } from '../unpack/inflated.ts'
import type { Archive, Files } from './archive.ts'
import { openDirectory } from './directory.ts'
import { imagesOfDocker } from './docker.ts'
import { imagesOfLayout } from './oci-layout.ts'
import { type Spooling, spoolInflated, spoolStream } from './spool.ts'
import { openTar } from './tar.ts'

/** A path, or what comes through a pipe. */
export type ArchiveSource = { readonly path: string } | { readonly stream: AsyncIterable<Uint8Array>; readonly name: string }

/** `spoolDir` is where what cannot be read in place is written, to a file without a name; so much of its disk stays free. */
export type Opening = Abortable & { readonly spoolDir: string; readonly freePercent?: number }

/** Throws bad-archive, invalid-argument where there is nothing at the path, no-space, system, cancelled. */
export async function openArchive(source: ArchiveSource, options: Opening): Promise<Archive> {
  const name = 'path' in source ? source.path : source.name
  await using opened = new AsyncDisposableStack()
  const files = opened.use(await openFiles(source, name, options))
  const layout = await imagesOfLayout(files, name)
  const images = layout ?? (await imagesOfDocker(files, name))
  if (images === undefined) {
    const reason =
      'it has neither index.json nor manifest.json; want an OCI image layout, or what docker save or podman save writes'
    return fail({ kind: 'bad-archive', archive: name, reason })
  }
  const kept = opened.move()
  return { name, format: layout === undefined ? 'docker' : 'oci', images, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

async function openFiles(source: ArchiveSource, name: string, { spoolDir, ...options }: Opening): Promise<Files> {
  const spooling = { dir: spoolDir, name, ...options }
  if ('stream' in source) return await openFile(await spoolStream(source.stream, spooling), spooling)
  const { path } = source
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined)
    fail({ kind: 'invalid-argument', what: `archive ${JSON.stringify(path)}`, reason: 'there is no such file or directory' })
  if (stat.isDirectory()) return openDirectory(path)
  if (!stat.isFile()) {
    const reason = 'it is neither a file nor a directory; a pipe is given as -'
    fail({ kind: 'invalid-argument', what: `archive ${JSON.stringify(path)}`, reason })
  }
  return await openFile(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), spooling)
}

/** Takes over `fd`: a tar is read in place, a compressed one from what it inflates to. */
async function openFile(fd: number, spooling: Spooling): Promise<Files> {
  using cleanup = new DisposableStack()
  cleanup.defer(() => closeSync(fd))
  if (fstatSync(fd).size === 0) fail({ kind: 'bad-archive', archive: spooling.name, reason: 'it is empty' })
  if (codecOf(fd) !== 'none') return await openTar(await spoolInflated(fd, spooling), spooling.name, spooling)
  cleanup.move()
  return await openTar(fd, spooling.name, spooling)
}
