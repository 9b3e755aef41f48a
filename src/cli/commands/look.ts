/** `manifest` and `platforms`: what a reference names, at its registry or here, without moving a layer. */
import { type Command, Option } from 'commander'
import { annotationsOf, entryAnnotationsOf, labelsOf, type Words } from '../../oci/annotations.ts'
import { parsePlatform } from '../../platform/platform.ts'
import type { Content, LookedUp, LookRequest, Offer } from '../../pull/look.ts'
import { writeTo } from '../io.ts'
import { credentialsFrom, type Options, switchOption, textOption } from '../options.ts'
import { print } from '../output.ts'
import { note, type Session } from '../session.ts'
import { bytes, plural, printable, printableJson, table } from '../text.ts'

const PARTS = ['imageConfig', 'digest', 'annotations'] as const

export function addManifest(program: Command, session: Session): void {
  asking(program.command('manifest').description('print the manifest or index that a reference names, byte for byte'))
    .option('--platform <os/arch[/variant]>', 'of an index, the manifest for this platform')
    .addOption(new Option('--image-config', "the image's config instead").conflicts(['digest', 'annotations']))
    .addOption(new Option('--digest', 'only the digest of what would be printed').conflicts('annotations'))
    .option('--annotations', 'the annotations of index and manifest, beside the labels of the config')
    .addHelpText(
      'after',
      `
The registry is asked, through its mirrors, as skopeo and crane do; --local shows
what is here. Nothing is pulled. The bytes come unchanged, so that sha256sum gives
the digest; on a terminal what could control it is escaped. --image-config and
--annotations are of one image: this node's platform, unless --platform names one.
-o json and -o yaml give digest, type, size and the document as one value.

Examples:
  windlass manifest debian:12 | jq .manifests
  windlass manifest --platform linux/arm64 debian:12 | sha256sum
  windlass manifest --image-config debian:12 | jq .config.Env
  windlass manifest --annotations --local debian:12
  windlass manifest --digest debian:12`,
    )
    .action(async (name: string, options: Options) => {
      const { io, signal } = session
      const part = PARTS.find((each) => switchOption(options, each))
      const platform = textOption(options, 'platform')
      // Before anything is asked or opened.
      if (platform !== undefined) parsePlatform(platform)
      const ask = {
        ...(await requestOf(session, name, options)),
        image: platform !== undefined || part === 'imageConfig' || part === 'annotations',
        ...(platform === undefined ? {} : { platform }),
      }
      await using backend = await session.backendWithImages()
      const found = await backend.lookUp(ask, { signal })
      if (part === 'annotations') return await print(io, session.format(), wordsOf(found), wordsForPeople)
      const shown = (part === 'imageConfig' ? found.image?.config : found.image?.manifest) ?? found.root
      if (part === 'digest') {
        const { digest } = shown.descriptor
        return await print(io, session.format(), { reference: found.reference, digest }, () => `${printable(digest)}\n`)
      }
      if (session.format() === 'table') return await writeTo(io.stdout, io.stdout.isTTY === true ? escaped(shown) : shown.bytes)
      await print(io, session.format(), documentOf(found, shown), () => '')
    })
}

export function addPlatforms(program: Command, session: Session): void {
  asking(program.command('platforms').description("list the platforms a reference has images for, and mark this node's"))
    .addHelpText(
      'after',
      `
The registry is asked, through its mirrors; --local shows the index that came with
an image that is here. Marked * is what a pull on this node takes, + what would run
here too; where a daemon answers, the node is the daemon's.

Examples:
  windlass platforms debian:12
  windlass -o json platforms debian:12 | jq -r '.platforms[].platform'`,
    )
    .action(async (name: string, options: Options) => {
      const { io, signal } = session
      const request = await requestOf(session, name, options)
      await using backend = await session.backendWithImages()
      const offer = await backend.platforms(request, { signal })
      await print(io, session.format(), offer, platformsTable)
      if (session.format() !== 'table') return
      if (!offer.platforms.some(({ fit }) => fit === 'chosen')) note(io, `none of these is for this node, ${offer.nodePlatform}`)
      if (offer.attestations > 0) note(io, `and ${plural(offer.attestations, 'attestation')}, which are no images`)
    })
}

const asking = (command: Command): Command =>
  command
    .argument('<image>', 'image reference: name[:tag] or name@digest; with --local also an id')
    .option('--local', 'look at what is here instead of asking the registry')
    .option('--creds <user:password>', 'log in to the registry (other users of this machine can see it)')
    .option('--creds-stdin', 'read user:password from stdin')

const requestOf = async ({ io }: Session, name: string, options: Options): Promise<LookRequest> => ({
  name,
  credentials: await credentialsFrom(options, io.stdin),
  local: switchOption(options, 'local'),
})

/** For a terminal: one line at the end, and nothing in it that the terminal obeys. */
function escaped({ bytes: content }: Content): string {
  const text = Buffer.from(content).toString()
  return printableJson(text.endsWith('\n') ? text : `${text}\n`)
}

const documentOf = ({ reference, host }: LookedUp, { descriptor, bytes: content }: Content) => ({
  reference,
  host,
  mediaType: descriptor.mediaType,
  digest: descriptor.digest,
  size: descriptor.size,
  document: jsonIn(content),
})

/** The document; as text where it is no JSON, which nobody has promised of it. */
function jsonIn(content: Uint8Array): unknown {
  const text = Buffer.from(content).toString()
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return text
    throw error
  }
}

type AllWords = {
  readonly reference: string
  readonly index: Words
  readonly entry: Words
  readonly manifest: Words
  readonly labels: Words
}

/** Everything that is said of an image, by where it is said: `entry` is the index's line about the manifest. */
function wordsOf({ reference, host, root, image }: LookedUp): AllWords {
  const manifest = image?.manifest ?? root
  const isIndexed = root.descriptor.digest !== manifest.descriptor.digest
  return {
    reference,
    index: isIndexed ? annotationsOf(root.bytes, host) : {},
    entry: isIndexed ? entryAnnotationsOf(root.bytes, manifest.descriptor.digest, host) : {},
    manifest: annotationsOf(manifest.bytes, host),
    labels: image === undefined ? {} : labelsOf(image.config.bytes, host),
  }
}

/** One name's annotations and label one below the other, those that OCI defines first. */
function wordsForPeople({ index, entry, manifest, labels }: AllWords): string {
  const rows = Object.entries({ index, entry, manifest, label: labels }).flatMap(([where, words]) =>
    Object.entries(words).map(([name, value]) => [name, where, value] as const),
  )
  const rank = (name: string): number => Number(!name.startsWith('org.opencontainers.image.'))
  const sorted = rows.toSorted(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : Number(a > b)))
  return table(['NAME', 'OF', 'VALUE'], sorted)
}

const MARK = { chosen: '*', runs: '+', foreign: '' } as const

const platformsTable = ({ platforms }: Offer): string =>
  table(
    ['', 'PLATFORM', 'MANIFEST', 'SIZE'],
    platforms.map(({ platform, manifest, fit }) => [MARK[fit], platform ?? 'not said', manifest.digest, bytes(manifest.size)]),
  )
