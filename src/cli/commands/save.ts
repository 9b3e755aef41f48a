/** `save`: images that are here, as an archive for a node that reaches no registry. The layers are read by this process. */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { type Command, Option } from 'commander'
import { type ArchiveFormat, FORMATS } from '../../archive/save.ts'
import { fail } from '../../failure/failure.ts'
import type { HeldImage } from '../../store/held.ts'
import { writeTo } from '../io.ts'
import { type Options, textOption } from '../options.ts'
import { print } from '../output.ts'
import { note, type Session } from '../session.ts'
import { plural, printable } from '../text.ts'

export function addSave(program: Command, session: Session): void {
  program
    .command('save')
    .description('save images that are here as an archive, for load, podman, skopeo and docker')
    .argument('<image...>', 'ids (their beginning will do), tags or digests')
    .option('-f, --file <file>', 'where to: a tar, or - for stdout')
    .option('--dir <dir>', 'where to: an OCI image layout as files, in a directory that is empty or not there')
    .addOption(new Option('--format <format>', 'an OCI image layout, or what docker save writes').choices(FORMATS).default('oci'))
    .addHelpText(
      'after',
      `
Layers are written as uncompressed tars, put together again from what was unpacked, and verified meanwhile: their blobs are not
kept. So an image has the id it had here, and another manifest, whose digest differs from its registry's. The same images make
the same archive, byte for byte. An image named by tag is saved under that tag, by id or digest under all its tags.
Needs root, on the machine of the daemon. -o says how results are printed, as everywhere.

Examples:
  windlass save -f app.tar registry.example/app:v2
  windlass save --format docker -f - registry.example/app:v2 | docker load
  windlass save --dir ./layout debian:12 registry.example/app:v2`,
    )
    .action((names: readonly string[], options: Options) => save(session, names, options))
}

async function save(session: Session, names: readonly string[], options: Options): Promise<void> {
  const { io, signal } = session
  const [file, dir] = [textOption(options, 'file'), textOption(options, 'dir')]
  const format = FORMATS.find((each) => each === textOption(options, 'format')) ?? 'oci'
  const refuse = (what: string, reason: string): never => fail({ kind: 'invalid-argument', what, reason })
  if ((file === undefined) === (dir === undefined)) refuse('options', 'say where to, with --file or with --dir')
  if (dir !== undefined && format === 'docker') refuse('--dir', "docker's format is a tar; give --file")
  if (file === '-' && io.stdout.isTTY === true) refuse('--file', 'an archive is nothing for a terminal; redirect stdout')
  await using backend = await session.backendWithImages()
  await using held = new AsyncDisposableStack()
  const images: HeldImage[] = []
  for (const name of names) {
    const image = held.use(await backend.hold(name, { signal }))
    for (const { diff } of image.layers) checkVisible(diff)
    images.push(image)
  }
  if (dir !== undefined) await saveDirectory(images, dir, session)
  else if (file === '-') await saveTo(images, format, (bytes) => writeTo(io.stdout, bytes), session)
  else if (file !== undefined) await saveFile(images, format, resolve(file), session)
  const saved = images.map(({ id, tags }) => ({ imageId: id, tags }))
  if (file === '-') note(io, `saved ${plural(saved.length, 'image')}`)
  else await print(io, session.format(), saved, (all) => all.map(({ imageId }) => `${printable(imageId)}\n`).join(''))
}

function checkVisible(diff: string): void {
  if (existsSync(diff)) return
  const reason = 'the store of the daemon is not visible from here; run this as root on its machine, and in its mount namespace'
  fail({ kind: 'invalid-argument', what: `directory ${diff}`, reason })
}

async function saveTo(
  images: readonly HeldImage[],
  format: ArchiveFormat,
  write: (bytes: Uint8Array) => Promise<void>,
  { signal }: Session,
): Promise<void> {
  const [{ writeArchive }, { tarWriter }] = await Promise.all([
    import('../../archive/save.ts'),
    import('../../archive/writers.ts'),
  ])
  await writeArchive(images, format, tarWriter(write), { signal })
}

/** Under another name until it is whole and on disk: what was there before stays until then. */
async function saveFile(images: readonly HeldImage[], format: ArchiveFormat, path: string, session: Session): Promise<void> {
  const partial = `${path}.${process.pid}.partial`
  using undo = new DisposableStack()
  const fd = openSync(partial, 'wx', 0o644)
  undo.defer(() => rmSync(partial, { force: true }))
  try {
    const write = async (bytes: Uint8Array): Promise<void> => {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
      // A stop signal is heard.
      await turn()
    }
    await saveTo(images, format, write, session)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(partial, path)
  undo.move()
  const parent = openSync(dirname(path), 'r')
  fsyncSync(parent)
  closeSync(parent)
}

async function saveDirectory(images: readonly HeldImage[], dir: string, { signal }: Session): Promise<void> {
  const path = resolve(dir)
  const isNew = !existsSync(path)
  if (!isNew && readdirSync(path).length > 0)
    fail({ kind: 'invalid-argument', what: `directory ${JSON.stringify(dir)}`, reason: 'it is not empty' })
  const [{ writeArchive }, { directoryWriter }] = await Promise.all([
    import('../../archive/save.ts'),
    import('../../archive/writers.ts'),
  ])
  mkdirSync(path, { recursive: true })
  try {
    await writeArchive(images, 'oci', directoryWriter(path), { signal })
  } catch (error) {
    for (const each of readdirSync(path)) rmSync(resolve(path, each), { recursive: true })
    if (isNew) rmSync(path, { recursive: true })
    throw error
  }
}
