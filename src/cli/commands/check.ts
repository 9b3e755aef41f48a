/** `check`: whether what image lists declare can be had, before a node tries. */
import type { Command } from 'commander'
import { fail } from '../../failure/failure.ts'
import { hostPlatform } from '../../platform/platform.ts'
import { wantedPlatform } from '../../platform/wanted.ts'
import type { CheckedImage, Total } from '../../prepull/check.ts'
import type { ImageList } from '../../prepull/prepull.ts'
import { addText, type Options, textOption, textsOption } from '../options.ts'
import { print } from '../output.ts'
import { type Session, warn } from '../session.ts'
import { bytes, plural, printable, reasonBeside, table } from '../text.ts'

export function addCheck(program: Command, session: Session): void {
  program
    .command('check')
    .description('check image lists without a daemon: what is written, and that every image can be had')
    .requiredOption('-f, --file <file>', 'a file of ImageList documents; may be given more than once', addText)
    .option('--platform <os/arch[/variant]>', "for this platform; may be given more than once (default: this machine's)", addText)
    .option('--authfile <file>', 'take logins from this file of docker, podman or Kubernetes [REGISTRY_AUTH_FILE]')
    .option('--secrets-dir <dir>', 'where the pull secrets that lists name are, as DIR/NAME/.dockerconfigjson')
    .option('--archive-dir <dir>', 'where the archives that lists name are')
    .addHelpText(
      'after',
      `
Reads manifests and configs, moves no layer. A list's own secrets are tried
first, then kubelet's plugins (prepull.credentialProvider), then your files, and
of each the logins that are for the image. What --config says of registries,
secrets, plugins and archives holds here too. A blob that several images share
is counted once in the sum of its platform.

Exit code 0 where all is good, 1 where an image cannot be had as declared, 2
where a file does not say what it must: each mistake with its line and field.

Examples:
  windlass check -f images.yaml
  windlass check -f images.yaml --platform linux/amd64 --platform linux/arm64
  windlass -o json check -f images.yaml | jq '.totals'`,
    )
    .action((options: Options) => check(session, options))
}

async function check(session: Session, options: Options): Promise<void> {
  const { io, signal } = session
  const wanted = textsOption(options, 'platform').map(wantedPlatform)
  const platforms = wanted.length === 0 ? [hostPlatform()] : wanted
  const files = textsOption(options, 'file')
  const lists = files.flatMap((file) => session.readLists(file).map((list) => ({ file, list })))
  refuseTwice(lists)
  const [authFile, secretsDir, archiveDir] = ['authfile', 'secretsDir', 'archiveDir'].map((name) => textOption(options, name))
  const told = new Set<string>()
  const onProblem = (problem: string): void => {
    if (!told.has(problem)) warn(io, printable(problem))
    told.add(problem)
  }
  await using checker = await session.checker(
    {
      spoolDir: io.env.TMPDIR || '/var/tmp',
      ...(authFile === undefined ? {} : { authFile }),
      ...(secretsDir === undefined ? {} : { secretsDir }),
      ...(archiveDir === undefined ? {} : { archiveDir }),
    },
    onProblem,
  )
  const all = lists.map(({ list }) => list)
  const { images, totals } = await checker.check(all, platforms, { signal })
  await print(io, session.format(), documentOf(all, images, totals), () => forPeople(all, images, totals))
  const failed = images.filter(({ result }) => result.kind === 'bad')
  if (failed.length > 0) fail({ kind: 'unpullable', failed: new Set(failed.map(({ name }) => name)).size })
}

/** As the daemon would. */
function refuseTwice(lists: readonly { readonly file: string; readonly list: ImageList }[]): void {
  for (const [at, { file, list }] of lists.entries()) {
    const first = lists.slice(0, at).find((other) => other.list.name === list.name)
    if (first === undefined) continue
    fail({ kind: 'bad-config', file, field: 'metadata.name', reason: `${first.file} has a list ${list.name} already` })
  }
}

const sizeOf = ({ result }: CheckedImage): number =>
  result.kind === 'bad'
    ? 0
    : [...new Map(result.layers.map(({ digest, size }) => [digest, size])).values()].reduce((a, b) => a + b, 0)

const documentOf = (lists: readonly ImageList[], checked: readonly CheckedImage[], totals: readonly Total[]) => ({
  lists: lists.map(({ name, priority, images }) => ({ name, priority, images: images.length })),
  images: checked.map((each) => {
    const { list, name, platform, result } = each
    const common = { list, image: name, platform, ok: result.kind === 'good' }
    if (result.kind === 'bad') return { ...common, failure: result.failure, reason: result.reason }
    const { imageId, manifest, from, login } = result
    return { ...common, imageId, manifest, from, ...(login === undefined ? {} : { login }), bytes: sizeOf(each) }
  }),
  totals,
})

function forPeople(lists: readonly ImageList[], checked: readonly CheckedImage[], totals: readonly Total[]): string {
  const rows = checked.map((each) => {
    const { list, name, platform, result } = each
    if (result.kind === 'bad') return [list, name, platform, '', `FAIL ${reasonBeside(name, result.reason)}`]
    return [list, name, platform, bytes(sizeOf(each)), `ok${result.login === undefined ? '' : `, as ${result.login}`}`]
  })
  const shown = rows.length === 0 ? '' : table(['LIST', 'IMAGE', 'PLATFORM', 'SIZE', 'RESULT'], rows)
  const sums = totals.map(
    ({ platform, images, bytes: size }) => `${platform}: ${plural(images, 'image')}, ${bytes(size)} to transfer at most\n`,
  )
  return `${shown}${plural(lists.length, 'list')}\n${sums.join('')}`
}
