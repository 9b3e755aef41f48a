/** `load`: images out of an archive, through the same checks as a pull. */
import { addAbortSignal } from 'node:stream'
import { type Command, InvalidArgumentError } from 'commander'
import type { ArchiveSource } from '../../archive/open.ts'
import { formatPlatform } from '../../platform/platform.ts'
import { wantedPlatform } from '../../platform/wanted.ts'
import { formatReference, parseReference } from '../../reference/parse.ts'
import { type Options, switchOption, textOption } from '../options.ts'
import { print } from '../output.ts'
import { silentView, viewFor } from '../progress/view.ts'
import type { Session } from '../session.ts'

export function addLoad(program: Command, session: Session): void {
  program
    .command('load')
    .description('load images from an archive: an OCI layout, or what docker save and podman save write')
    .argument('<archive>', 'a directory, a tar (plain, gzip or zstd), or - for stdin')
    .argument('[image...]', 'names of images in it; may be left out where it holds one')
    .option('--all', 'load every image in it')
    .option('--name <reference>', 'call the image so, in place of the name it has there', referenceOption)
    .option('--platform <os/arch[/variant]>', "load for this platform instead of the node's own")
    .option('-q, --quiet', 'no progress, only the result')
    .addHelpText(
      'after',
      `
Every byte is verified as in a pull: digests, sizes, diffIDs, limits. Nothing is visible before an image is whole.
Names are those of io.containerd.image.name, org.opencontainers.image.ref.name or RepoTags. An archive of docker's has no
manifests: the digest that such an image gets is of one that is made here, the image's id is its own.
This process reads the archive, with your rights; a daemon asks it for the parts that are not here yet, and opens no file for it.
A plain tar is read in place. One that is compressed, or comes from stdin, is first written to a file without a name, in
TMPDIR, else /var/tmp.

Examples:
  windlass load images.tar registry.example/app:v2
  windlass load --name registry.example/app:v2 ./layout
  podman save --format oci-archive app:v2 | windlass load -
  windlass --root ./images load --all images.tar.zst`,
    )
    .action((archive: string, images: readonly string[], options: Options) => load(session, archive, images, options))
}

function referenceOption(text: string): string {
  try {
    return formatReference(parseReference(text))
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
  }
}

async function load(session: Session, path: string, images: readonly string[], options: Options): Promise<void> {
  const { io, signal } = session
  const platform = textOption(options, 'platform')
  const name = textOption(options, 'name')
  // Before anything is opened.
  const wanted = platform === undefined ? {} : { platform: formatPlatform(wantedPlatform(platform)) }
  const [{ openArchive }, { chooseImages }] = await Promise.all([
    import('../../archive/open.ts'),
    import('../../archive/choose.ts'),
  ])
  const source: ArchiveSource = path === '-' ? { stream: addAbortSignal(signal, io.stdin), name: 'stdin' } : { path }
  await using archive = await openArchive(source, { signal, spoolDir: io.env.TMPDIR || '/var/tmp' })
  const chosen = chooseImages(archive, { images, all: switchOption(options, 'all'), ...(name === undefined ? {} : { name }) })
  await using backend = await session.backend()
  const loaded: { readonly imageId: string; readonly reference: string }[] = []
  for (const { image, reference } of chosen) {
    const opened = await image.open({ signal })
    const shown = formatReference(reference)
    using view = switchOption(options, 'quiet') ? silentView : viewFor(io, shown)
    const ask = { reference: shown, archive: archive.name, image: opened, ...wanted }
    loaded.push({ imageId: await backend.load(ask, { signal, onEvent: (event) => view.event(event) }), reference: shown })
  }
  await print(io, session.format(), loaded, (all) => all.map(({ imageId }) => `${imageId}\n`).join(''))
}
