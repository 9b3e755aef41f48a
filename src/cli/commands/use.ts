/** `mount`, `bundle` and `unmount`: an image as a file tree and as something to run. The mounts are made by this process. */
import { existsSync, mkdirSync, readdirSync, realpathSync, rmdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { fail, failureOf } from '../../failure/failure.ts'
import type { ImageDetail } from '../../store/detail.ts'
import { writeTo } from '../io.ts'
import type { Options } from '../options.ts'
import { print } from '../output.ts'
import { type Session, warn } from '../session.ts'
import { printable } from '../text.ts'

export function addMount(program: Command, session: Session): void {
  program
    .command('mount')
    .description("mount an image's merged tree, read-only")
    .argument('<image>', 'id (its beginning will do), tag or digest of an image that is here')
    .argument('<dir>', 'an empty directory; made if it does not exist')
    .addHelpText(
      'after',
      `
Needs root. Undo it with: windlass unmount DIR

Examples:
  windlass mount debian:12 /mnt/debian && ls /mnt/debian
  windlass --root ./images mount debian:12 ./tree`,
    )
    .action(async (name: string, dir: string) => {
      const { io, signal } = session
      await using backend = await session.backendWithImages()
      const image = await backend.inspect(name, { signal })
      await mountImage(image, resolve(dir))
      await print(io, session.format(), { imageId: image.id, dir: resolve(dir) }, ({ dir }) => `${printable(dir)}\n`)
    })
}

async function mountImage(image: ImageDetail, dir: string): Promise<void> {
  const { isOurMount, mountOverlay } = await import('../../sys/mount.ts')
  using undo = new DisposableStack()
  if (!existsSync(dir)) {
    mkdirSync(dir)
    undo.defer(() => rmdirSync(dir))
  }
  const target = realpathSync(dir)
  const refuse = (reason: string): never => fail({ kind: 'invalid-argument', what: `directory ${JSON.stringify(dir)}`, reason })
  if (isOurMount(target)) refuse('an image is mounted there already; windlass unmount it first')
  if (readdirSync(target).length > 0) refuse('it is not empty')
  sayWhatRights(() => mountOverlay({ target, ...layersOf(image) }))
  undo.move()
}

/** The lower directories as the kernel wants them: topmost first. */
function layersOf({ overlayDir, layers }: ImageDetail): { readonly base: string; readonly lower: readonly string[] } {
  if (!existsSync(overlayDir)) {
    const reason = 'the store of the daemon is not visible from here; run this on its machine, and in its mount namespace'
    fail({ kind: 'invalid-argument', what: `directory ${overlayDir}`, reason })
  }
  return { base: overlayDir, lower: layers.map(({ short }) => short).toReversed() }
}

/** EPERM of a mount has one remedy. */
function sayWhatRights<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    const failure = failureOf(error)
    if (failure.kind !== 'system' || failure.code !== 'EPERM') throw error
    fail({ kind: 'not-permitted', what: 'mounting', missing: ['CAP_SYS_ADMIN'] }, error)
  }
}

export function addBundle(program: Command, session: Session): void {
  program
    .command('bundle')
    .description('make an OCI runtime bundle of an image: its tree mounted writable, and config.json')
    .argument('<image>', 'id (its beginning will do), tag or digest of an image that is here')
    .argument('<dir>', 'an empty directory, or one to be made')
    .argument('[args...]', "after --: replaces the image's Cmd, and leaves its Entrypoint")
    .addOption(
      new Option('--network <which>', 'none: loopback alone; host: the network of this machine')
        .choices(['none', 'host'])
        .default('none'),
    )
    .addHelpText(
      'after',
      `
Needs root. What runs in it writes to DIR/upper, never to the image. Undo it with: windlass unmount DIR

Examples:
  windlass bundle debian:12 ./box -- cat /etc/os-release && runc run --bundle ./box box
  windlass bundle --network host registry.example/app:v2 ./app`,
    )
    .action(async (name: string, dir: string, args: readonly string[], options: Options) => {
      const { io, signal } = session
      await using backend = await session.backendWithImages()
      const image = await backend.inspect(name, { signal })
      const { base, lower } = layersOf(image)
      const { writeBundle } = await import('../../bundle/write.ts')
      const bundle = sayWhatRights(() =>
        writeBundle({
          dir,
          args,
          network: options.network === 'host' ? 'host' : 'none',
          image: { reference: name, id: image.id, config: image.config, overlayDir: base, lower },
        }),
      )
      for (const warning of bundle.warnings) warn(io, printable(warning))
      await print(io, session.format(), { imageId: image.id, ...bundle }, ({ dir }) => `${printable(dir)}\n`)
    })
}

export function addUnmount(program: Command, session: Session): void {
  program
    .command('unmount')
    .description('unmount what mount mounted, or take apart what bundle made')
    .argument('<dir...>', 'directories given to mount or bundle')
    .addHelpText(
      'after',
      `
Of a bundle, everything that was written in it goes too. Needs root, and no daemon.

Examples:
  windlass unmount /mnt/debian
  windlass unmount ./box`,
    )
    .action(async (dirs: readonly string[]) => {
      for (const dir of dirs) {
        const done = await unmountOne(resolve(dir))
        await writeTo(session.io.stderr, `${done} ${printable(resolve(dir))}\n`)
      }
    })
}

async function unmountOne(dir: string): Promise<string> {
  const { isBundle, removeBundle } = await import('../../bundle/remove.ts')
  const { isOurMount, unmount } = await import('../../sys/mount.ts')
  const refuse = (reason: string): never => fail({ kind: 'invalid-argument', what: `directory ${JSON.stringify(dir)}`, reason })
  if (!existsSync(dir)) refuse('there is no such directory')
  const target = realpathSync(dir)
  if (isOurMount(target)) {
    sayWhatRights(() => unmount(target))
    return 'unmounted'
  }
  if (!isBundle(target)) refuse('windlass has mounted nothing there')
  sayWhatRights(() => removeBundle(target))
  return 'took apart'
}
