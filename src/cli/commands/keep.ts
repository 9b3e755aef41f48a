/** `pin`, `unpin`, `why` and `gc`: what stays, for whom, and what goes. */
import { type Command, InvalidArgumentError } from 'commander'
import { fail } from '../../failure/failure.ts'
import type { Pinned, Unpinned } from '../../gc/pinning.ts'
import type { HeldThing, Hold } from '../../gc/why.ts'
import { RULE_OWNER } from '../../store/pins.ts'
import { parseQuantity } from '../../units/units.ts'
import type { Collection } from '../backend.ts'
import { holdText, layerLine } from '../holds.ts'
import { durationOption, numberOption, type Options, switchOption, textOption } from '../options.ts'
import { print } from '../output.ts'
import type { Session } from '../session.ts'
import { bytes, duration, plural, printable, shortDigest } from '../text.ts'

export function addPin(program: Command, session: Session): void {
  program
    .command('pin')
    .description('keep an image: no collection removes it, kubelet’s included')
    .argument('<image>', 'id (its beginning will do), tag or digest')
    .option('--owner <name>', 'who wants it kept; each owner has one pin on an image', 'operator')
    .option('--reason <text>', 'why, for whoever asks later', '')
    .option('--ttl <duration>', 'how long, such as 72h; without it, until unpin', durationOption)
    .addHelpText(
      'after',
      `
A pin keeps the image from collections, not from rmi: who names an image there
means it. What the configuration pins by name (pins:) is shown as its own.

Examples:
  windlass pin --reason 'the base of every job' --ttl 72h r.example/base:1
  windlass inspect r.example/base:1          # shows the pins`,
    )
    .action(async (name: string, options: Options) => {
      const { io, signal } = session
      const ttlMs = numberOption(options, 'ttl')
      const wish = { owner: textOption(options, 'owner') ?? '', reason: textOption(options, 'reason') ?? '' }
      await using backend = await session.backendWithImages()
      const pinned = await backend.pin(name, { ...wish, ...(ttlMs === undefined ? {} : { ttlMs }) }, { signal })
      await print(io, session.format(), pinned, (all) => pinsForPeople('pinned', all))
    })
}

export function addUnpin(program: Command, session: Session): void {
  program
    .command('unpin')
    .description('take pins back')
    .argument('<image>', 'id (its beginning will do), tag or digest')
    .option('--owner <name>', 'whose pin; without it, everybody’s but the configuration’s')
    .addHelpText('after', '\nExamples:\n  windlass unpin --owner operator r.example/base:1')
    .action(async (name: string, options: Options) => {
      const { io, signal } = session
      await using backend = await session.backendWithImages()
      const owner = textOption(options, 'owner')
      const unpinned = await backend.unpin(name, owner, { signal })
      await print(io, session.format(), unpinned, (all) => unpinnedForPeople(all, owner))
    })
}

function unpinnedForPeople({ left, ...taken }: Unpinned, owner: string | undefined): string {
  const none = `${printable(taken.imageId)} has no pin ${owner === undefined ? 'to take back' : `of owner ${printable(owner)}`}\n`
  const stands = left.map((pin) =>
    pin.owner === RULE_OWNER
      ? 'still pinned by the configuration (pins:), which alone can take that back\n'
      : `still pinned for ${printable(pin.owner)}\n`,
  )
  return [taken.pins.length === 0 ? none : pinsForPeople('unpinned', taken), ...stands].join('')
}

function pinsForPeople(done: string, { imageId, pins }: Pinned): string {
  const until = (end: Date | undefined): string => (end === undefined ? '' : ` until ${end.toISOString()}`)
  return pins.map((pin) => `${done} ${printable(`${imageId} for ${pin.owner}${until(pin.until)}`)}\n`).join('')
}

export function addWhy(program: Command, session: Session): void {
  program
    .command('why')
    .description('say what holds an image, a layer or a document')
    .argument('<name>', 'an image; or the digest, six digits of it will do, of a layer, a blob, a manifest or a config')
    .addHelpText(
      'after',
      `
What nothing holds goes with the next collection. An image that only its names
hold goes by itself when the disk is full or the image too old (windlass gc).

Examples:
  windlass why debian:12
  windlass why sha256:4bcff63911fc`,
    )
    .action(async (name: string) => {
      const { io, signal } = session
      await using backend = await session.backendWithImages()
      const things = await backend.why(name, { signal })
      if (things.length === 0) fail({ kind: 'image-unknown', names: [name] })
      await print(io, session.format(), things, (all) => all.map(thingForPeople).join('\n'))
    })
}

function thingForPeople({ kind, digest, names, holds }: HeldThing): string {
  const known = kind === 'layer' ? names.map((name) => `  ${printable(name)}\n`) : []
  const reasons = holds.length === 0 ? ['  nothing holds it: the next collection removes it\n'] : holds.map(holdForPeople)
  return [`${kind} ${printable(digest)}\n`, ...known, ...reasons].join('')
}

const holdForPeople = (hold: Hold): string => `  ${holdText(hold)}\n`

export function addGc(program: Command, session: Session): void {
  program
    .command('gc')
    .description('remove what nothing needs; images by age, and where the disk is full')
    .option('-n, --dry-run', 'only say what would go, and why the rest stays')
    .option('--free <size>', 'go on until so much is free, such as 10Gi, whatever the watermarks say', quantityOption)
    .addHelpText(
      'after',
      `
The daemon does the same every minute, and for a pull that does not fit.
The watermarks are the configuration's (windlass config, under gc). Images that
are pinned, in use, or younger than gc.minimumAge stay in any case.

Examples:
  windlass gc --dry-run
  windlass gc --free 20Gi`,
    )
    .action(async (options: Options) => {
      const { io, signal } = session
      const dryRun = switchOption(options, 'dryRun')
      const freeBytes = numberOption(options, 'free')
      await using backend = await session.backendWithImages()
      const collection = await backend.collect({ dryRun, ...(freeBytes === undefined ? {} : { freeBytes }) }, { signal })
      await print(io, session.format(), collection, (all) => collectionForPeople(all, dryRun))
    })
}

function collectionForPeople({ disk, images, kept, keptLayers, layers, bytes: freed }: Collection, dryRun: boolean): string {
  const ago = (then: Date): string => duration(Math.max(0, Date.now() - then.getTime()))
  const name = ({ id, names }: { readonly id: string; readonly names: readonly string[] }): string =>
    printable(`${names[0] ?? '<none>'} (${shortDigest(id)})`)
  const verb = dryRun ? 'would remove' : 'removed'
  const gone = images.map(
    (image) => `${verb} ${name(image)}, used ${ago(image.usedAt)} ago, for ${image.reason}: ${bytes(image.bytes)}\n`,
  )
  const stays = dryRun ? kept.map((image) => `keeps ${name(image)}: ${image.reason}, ${printable(image.detail)}\n`) : []
  const held = dryRun ? keptLayers.map((layer) => `keeps layer ${layerLine(layer)}`) : []
  const sum = `${verb} ${plural(images.length, 'image')}, ${plural(layers, 'layer')}, ${bytes(freed)}\n`
  const state = `${printable(disk.path)}: ${disk.usedPercent.toFixed()} % used, ${bytes(disk.availableBytes)} free\n`
  return [...gone, ...stays, ...held, sum, state].join('')
}

function quantityOption(text: string): number {
  const value = parseQuantity(text)
  if (value === undefined || value === 0) throw new InvalidArgumentError('want a size such as 10Gi or 500M')
  return value
}
