/** `verify`: whether what is here is still what was pulled. */
import type { Command } from 'commander'
import { fail } from '../../failure/failure.ts'
import type { Credentials } from '../../registry/registry.ts'
import type { LayerVerdict, VerifyEvent } from '../../verify/verify.ts'
import type { Backend } from '../backend.ts'
import { writeTo } from '../io.ts'
import { credentialsFrom, loginFrom, type Options, switchOption, textOption } from '../options.ts'
import { print } from '../output.ts'
import { verifyViewFor } from '../progress/verify-view.ts'
import { type Session, warn } from '../session.ts'
import { type Checked, checked, nothingChecked, reportDocument, reportForPeople } from '../verify-report.ts'

export function addVerify(program: Command, session: Session): void {
  program
    .command('verify')
    .description('compare the layers that are here with what was pulled; find every file that differs')
    .argument('[image...]', 'id (its beginning will do), tag or digest; without any, all images')
    .option('--repair', 'pull the images of damaged layers again, by digest, and verify those layers once more')
    .option(
      '--creds <user:password>',
      'with --repair and one image: log in to its registry (other users of this machine can see it)',
    )
    .option('--creds-stdin', 'the same, reading user:password from stdin')
    .option('--authfile <file>', 'the same, with the login that this file of docker, podman or Kubernetes has')
    .addHelpText(
      'after',
      `
Each layer is put together again from its tree and its tar-split and must have
its diffID; each file's bytes, type, mode, owner, time, link target, device
number and xattrs must be what the layer says, and nothing else may be there.
Directories that a layer leaves out have the attributes of the layers below,
and are compared by type alone.

Without --repair nothing is changed, but that a layer is damaged is remembered
(inspect, images and doctor show it): the next pull of any image it is part of
brings it again. A layer that is mounted cannot be replaced meanwhile.
Exit code 1 if any layer is damaged, or could not be verified.

Of images in containerd the layers that Windlass unpacked are verified; those
that containerd unpacked itself are told as unverifiable. Nothing is remembered
there. --repair removes the images of a damaged layer, if nothing uses them, and
pulls them again.

Examples:
  windlass verify
  windlass verify --repair debian:12
  windlass -o json verify | jq '.layers[] | select(.outcome != "sound")'`,
    )
    .action(async (images: readonly string[], options: Options) => {
      const { io } = session
      const report = await verify(session, images, options)
      if (session.format() === 'table') await writeTo(io.stdout, reportForPeople(report))
      else await print(io, session.format(), reportDocument(report), () => '')
      const count = (outcome: LayerVerdict['outcome']): number =>
        report.layers.filter(({ verdict }) => verdict?.outcome === outcome).length
      const [damaged, unknown, unverifiable] = [count('damaged'), count('unknown'), count('unverifiable')]
      if (damaged + unknown + unverifiable > 0)
        fail({ kind: 'damaged', damaged, unknown, unverifiable, tried: switchOption(options, 'repair') })
    })
}

async function verify(session: Session, images: readonly string[], options: Options): Promise<Checked> {
  const { io, signal } = session
  const repair = switchOption(options, 'repair')
  const typed = await credentialsFrom(options, io.stdin)
  const file = textOption(options, 'authfile')
  if ((typed.kind !== 'anonymous' || file !== undefined) && !repair)
    fail({ kind: 'invalid-argument', what: 'credentials', reason: 'only --repair asks a registry' })
  if (typed.kind !== 'anonymous' && file !== undefined)
    fail({ kind: 'invalid-argument', what: '--authfile', reason: 'give it or --creds, not both' })
  await using backend = await session.backendWithImages()
  const credentials = file === undefined ? typed : await loginIn(session, backend, images, options)
  using view = verifyViewFor(io)
  let report = nothingChecked
  const onEvent = (event: VerifyEvent): void => {
    report = checked(report, event)
    view.event(event)
  }
  await backend.verify({ images, repair, credentials }, { signal, onEvent })
  return report
}

/** What the file has for the registry of the one image that is named; of one named by id, the registry that its first digest came from. */
async function loginIn(
  { io, signal }: Session,
  backend: Backend,
  [image, ...more]: readonly string[],
  options: Options,
): Promise<Credentials> {
  if (image === undefined || more.length > 0)
    return fail({ kind: 'invalid-argument', what: '--authfile', reason: 'its login is for one registry: name one image' })
  const name = isId(image) ? ((await backend.inspect(image, { signal })).digests[0] ?? image) : image
  return await loginFrom(options, io, name, { signal, warn: (text) => warn(io, text) })
}

/** Whole, or its beginning. */
const isId = (text: string): boolean => /^(?:sha256:)?[0-9a-f]+$/.test(text)
