/** `images`, `inspect` and `rmi`: what is here. */
import type { Command } from 'commander'
import { fail } from '../../failure/failure.ts'
import type { Removal } from '../../gc/remove.ts'
import type { ImageDetail } from '../../store/detail.ts'
import type { ImageSummary } from '../backend.ts'
import { kindOf } from '../failures.ts'
import { layerLine } from '../holds.ts'
import { writeTo } from '../io.ts'
import { type Options, switchOption } from '../options.ts'
import { print } from '../output.ts'
import type { Session } from '../session.ts'
import { bytes, duration, facts, plural, printable, shortDigest, table } from '../text.ts'

export function addImages(program: Command, session: Session): void {
  program
    .command('images')
    .description('list the images that are here')
    .option('-q, --quiet', 'only ids')
    .option('--digests', 'show the digest each image was pulled by')
    .addHelpText(
      'after',
      `
SIZE is what was downloaded, compressed, as containerd counts it. An image is
damaged where windlass verify has found a layer of it to be; a pull mends it. A tag is
stale where its registry could not be reached when it was pulled last.

Examples:
  windlass images
  windlass images -q
  windlass -o json images | jq -r '.[].tags[]'`,
    )
    .action(async (options: Options) => {
      const { io, signal } = session
      await using backend = await session.backendWithImages()
      const [all, damaged, stale] = await Promise.all([
        backend.images({ signal }),
        backend.damaged({ signal }),
        backend.staleTags({ signal }),
      ])
      const bad = new Set(damaged.flatMap(({ imageIds }) => imageIds))
      const images = all.map((image) => ({
        ...summaryOnly(image),
        damaged: bad.has(image.id),
        staleTags: image.tags.filter((tag) => stale.includes(tag)),
      }))
      if (switchOption(options, 'quiet')) await writeTo(io.stdout, images.map(({ id }) => `${printable(id)}\n`).join(''))
      else await print(io, session.format(), images, (all) => imagesTable(all, switchOption(options, 'digests')))
    })
}

/** A backend may know more of an image; the list has these. */
const summaryOnly = ({ id, tags, digests, size, pinned }: ImageSummary): ImageSummary => ({ id, tags, digests, size, pinned })

type ListedImage = ImageSummary & { readonly damaged: boolean; readonly staleTags: readonly string[] }

function imagesTable(images: readonly ListedImage[], withDigests: boolean): string {
  const rows = images.flatMap((image) =>
    namesOf(image).map(([name, tag, digest]) => [
      name,
      tag + (image.staleTags.includes(`${name}:${tag}`) ? ' (stale)' : ''),
      ...(withDigests ? [digest] : []),
      shortDigest(image.id),
      bytes(image.size) + (image.pinned ? ' (pinned)' : '') + (image.damaged ? ' (damaged)' : ''),
    ]),
  )
  return table(['IMAGE', 'TAG', ...(withDigests ? ['DIGEST'] : []), 'IMAGE ID', 'SIZE'], rows)
}

/** One row for each tag; an image pulled by digest alone has one row too. */
function namesOf({ tags, digests }: ImageSummary): (readonly [name: string, tag: string, digest: string])[] {
  const digestOf = (name: string): string => digests.find((one) => one.startsWith(`${name}@`))?.slice(name.length + 1) ?? '<none>'
  if (tags.length > 0) {
    return tags.map((tag) => {
      const colon = tag.lastIndexOf(':')
      const name = tag.slice(0, colon)
      return [name, tag.slice(colon + 1), digestOf(name)]
    })
  }
  const [name = '<none>'] = digests.map((one) => one.split('@')[0] ?? '')
  return [[name, '<none>', digestOf(name)]]
}

export function addInspect(program: Command, session: Session): void {
  program
    .command('inspect')
    .description('show everything known about an image that is here')
    .argument('<image>', 'id (its beginning will do), tag or digest')
    .addHelpText(
      'after',
      `
A receipt says who pulled it (a hash of the login, the same on this node alone),
when last, and from which host. The last 32 are kept.

Examples:
  windlass inspect debian:12
  windlass -o json inspect debian:12 | jq .config.config.Env`,
    )
    .action(async (name: string) => {
      const { io, signal } = session
      await using backend = await session.backendWithImages()
      const image = await backend.inspect(name, { signal })
      if (session.format() === 'table') await writeTo(io.stdout, detailForPeople(image))
      else await print(io, session.format(), documentOf(image), () => '')
    })
}

/** The image with its documents as they came from the registry. */
function documentOf({ configJson, manifestJson, config: _, ...image }: ImageDetail): Readonly<Record<string, unknown>> {
  return { ...image, config: JSON.parse(configJson), manifest: { ...image.manifest, document: JSON.parse(manifestJson) } }
}

function detailForPeople(image: ImageDetail): string {
  const { run, created } = image.config
  const list = (values: readonly string[]): string => values.map((value) => JSON.stringify(value)).join(' ')
  const head = facts([
    ['Id', image.id],
    ...image.tags.map((tag) => ['Tag', tag] as const),
    ...image.digests.map((digest) => ['Digest', digest] as const),
    ['Manifest', `${image.manifest.digest} (${image.manifest.mediaType})`],
    ['Platform', image.platform],
    ['Size', `${bytes(image.size)} compressed, ${unpackedSize(image)}`],
    ['Created', created ?? 'not said'],
    ['Pulled', `${image.pulledAt.toISOString()} (${duration(Math.max(0, Date.now() - image.pulledAt.getTime()))} ago)`],
    ['Used', `${image.usedAt.toISOString()} (${duration(Math.max(0, Date.now() - image.usedAt.getTime()))} ago)`],
    ...pinRows(image),
    ...expiryRows(image),
    ...receiptRows(image),
    ['User', run.user ?? 'root'],
    ['Entrypoint', list(run.entrypoint)],
    ['Cmd', list(run.cmd)],
    ['WorkingDir', run.workingDir ?? '/'],
    ...run.env.map((variable) => ['Env', variable] as const),
    ...(run.exposedPorts.length === 0 ? [] : [['Ports', run.exposedPorts.join(', ')] as const]),
    ...(run.volumes.length === 0 ? [] : [['Volumes', run.volumes.join(', ')] as const]),
    ...Object.entries(run.labels).map(([name, value]) => ['Label', `${name}=${value}`] as const),
  ])
  const rows = image.layers.map((layer, index) => [
    String(index + 1),
    shortDigest(layer.blob.digest),
    bytes(layer.blob.size),
    layer.diffSize === undefined ? UNKNOWN : bytes(layer.diffSize),
    String(layer.entries ?? UNKNOWN),
    String(layer.whiteouts ?? UNKNOWN),
    layer.diff,
  ])
  return `${head}\n${table(['LAYER', 'BLOB', 'SIZE', 'UNPACKED', 'ENTRIES', 'WHITEOUTS', 'DIRECTORY'], rows)}${damageForPeople(image)}`
}

/** A figure of a layer that a runtime unpacked. */
const UNKNOWN = 'unknown'

function unpackedSize({ layers }: ImageDetail): string {
  const sizes = layers.flatMap(({ diffSize }) => diffSize ?? [])
  return sizes.length < layers.length ? 'unpacked size unknown' : `${bytes(sizes.reduce((sum, size) => sum + size, 0))} unpacked`
}

/** One row a pin. */
function pinRows({ pins }: ImageDetail): (readonly [string, string])[] {
  if (pins.length === 0) return [['Pinned', 'no']]
  return pins.map(({ owner, reason, until }) => [
    'Pinned',
    `by ${owner}${until === undefined ? '' : ` until ${until.toISOString()}`}${reason === '' ? '' : `: ${reason}`}`,
  ])
}

function expiryRows({ expiresAt }: ImageDetail): (readonly [string, string])[] {
  return expiresAt === undefined
    ? []
    : [['Expires', `${expiresAt.toISOString()}: containerd 2.1.9 removes it after that, 1.6 and 1.7 do not`]]
}

/** One row a receipt, and one for what is not known. */
function receiptRows({ receipts, receiptsSince }: ImageDetail): (readonly [string, string])[] {
  const rows = receipts.map(
    ({ identity, name, host, at }) => ['Receipt', `${at.toISOString()} ${identity} from ${host}: ${name}`] as const,
  )
  if (receiptsSince !== undefined) return rows
  return [
    ...rows,
    [
      'Receipt',
      `${rows.length === 0 ? 'none: ' : ''}who pulled it ${rows.length === 0 ? '' : 'before '}is not on record, or was lost`,
    ],
  ]
}

function damageForPeople({ layers }: ImageDetail): string {
  const lines = layers.flatMap(({ damage }, index) => {
    if (damage === undefined) return []
    const { foundAt, differences, first } = damage
    return [
      `layer ${index + 1} is damaged (${foundAt.toISOString()}): ${plural(differences, 'difference')}, first ${printable(first)}\n`,
    ]
  })
  return lines.length === 0 ? '' : `\n${lines.join('')}`
}

export function addRmi(program: Command, session: Session): void {
  program
    .command('rmi')
    .description('remove images; layers that no other image needs go with them')
    .argument('<image...>', 'a tag removes that tag; an id or digest removes the image with all its tags')
    .option('-i, --ignore-missing', 'an image that is not here is no error')
    .addHelpText(
      'after',
      `
Examples:
  windlass rmi debian:12
  windlass images -q | xargs windlass rmi`,
    )
    .action(async (names: readonly string[], options: Options) => {
      const { io, signal } = session
      await using backend = await session.backendWithImages()
      const removals: Removal[] = []
      const missing: string[] = []
      for (const name of names) {
        const removal = await backend.remove(name, { signal }).catch((error: unknown) => {
          if (kindOf(error) !== 'image-unknown') throw error
          missing.push(name)
        })
        if (removal !== undefined) removals.push(removal)
      }
      await print(io, session.format(), removals, (all) => all.map(removalForPeople).join(''))
      if (missing.length > 0 && !switchOption(options, 'ignoreMissing')) fail({ kind: 'image-unknown', names: missing })
    })
}

function removalForPeople({ imageId, untagged, imageRemoved, layersRemoved, kept, bytesFreed }: Removal): string {
  const lines = untagged.map((tag) => `untagged ${printable(tag)}\n`)
  const freed =
    layersRemoved === undefined || bytesFreed === undefined
      ? 'its layers go when the runtime next collects'
      : `${plural(layersRemoved, 'layer')}, ${bytes(bytesFreed)}`
  if (imageRemoved) lines.push(`removed  ${printable(imageId)} (${freed})\n`)
  if (kept.length > 0)
    lines.push(
      `kept     ${plural(kept.length, 'layer')}: in use, until that has ended\n`,
      ...kept.map((layer) => `         ${layerLine(layer)}`),
    )
  return lines.join('')
}
