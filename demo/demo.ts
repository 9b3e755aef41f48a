/** `npm run demo`: Windlass from start to end on this machine. */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { optionsOf } from '../scripts/options.ts'
import { duration } from '../src/cli/text.ts'
import { formatPlatform, hostPlatform } from '../src/platform/platform.ts'
import { connect } from '../src/rpc/client.ts'
import { unmount } from '../src/sys/mount.ts'
import { startRegistry } from '../test/registry/embedded-registry.ts'
import { publish } from '../test/support/image.ts'
import { makeVictim } from '../test/support/victim.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import { buildFixture, type Fixture } from './fixture.ts'
import { below, mountsBelow, temporaryPlace } from './place.ts'
import { again, inspect, list, plan, pull } from './pulling.ts'
import { isNamespaced, mayMakeNamespace, mayUnpack, runInNamespace } from './rights.ts'
import { use } from './running.ts'
import { type Show, showOn } from './show.ts'
import { expect, REPOSITORY, type Stage } from './stage.ts'
import { crash, hostile, otherPlatform } from './trials.ts'

optionsOf({
  command: 'npm run demo',
  about: `Windlass from start to end on this machine, with no cluster: a registry in this process, the real daemon as a child, every figure
    measured, every claim checked, and nothing left behind.`,
  takes: 'ten seconds',
  needs: `no network, and no root: it shows what the user may do, in a user namespace where that is allowed; 512 MB in the temporary directory
    or another that is not on overlayfs; runc, for the step that runs a container`,
  options: {},
})
const interrupt = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => interrupt.abort(new Error(name)))
// Nobody reads on (`| head`): there is nothing more to show, and nobody to tell.
const unread = new AbortController()
process.stdout.on('error', () => unread.abort())

if (!mayUnpack() && mayMakeNamespace()) process.exitCode = await runInNamespace(interrupt.signal)
else process.exitCode = await main(showOn(process.stdout), AbortSignal.any([interrupt.signal, unread.signal]))

async function main(show: Show, signal: AbortSignal): Promise<number> {
  try {
    const startedAt = performance.now()
    const dir = await inTemporaryPlace(show, signal)
    expect(!existsSync(dir), `${dir} is gone`)
    const next = mayUnpack() ? './windlass --help' : 'sudo npm run demo, which shows the rest'
    show.row('removed', `nothing left; ${duration(performance.now() - startedAt)} in all · next: ${show.paint('bold', next)}`)
    return 0
  } catch (error) {
    if (unread.signal.aborted) return 0
    const reason = signal.aborted ? 'interrupted; everything is put away' : `demo failed: ${failureText(error)}`
    process.stderr.write(`\n${reason}\n`)
    return signal.aborted ? 130 : 1
  }
}

function failureText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Sets the stage, plays on it, and returns the directory that is gone by then. */
async function inTemporaryPlace(show: Show, signal: AbortSignal): Promise<string> {
  await using cleanup = new AsyncDisposableStack()
  const { path: dir } = cleanup.use(await temporaryPlace())
  cleanup.defer(() => mountsBelow(dir).reverse().forEach(unmount))
  const platform = hostPlatform()
  const where = isNamespaced() ? ' · not root: in a user namespace' : ''
  show.row('windlass', `demo · root ${dir} · ${formatPlatform(platform)}${where}`)

  const victim = makeVictim(join(dir, 'victim'))
  const registry = cleanup.use(await startRegistry())
  const buildingSince = performance.now()
  const fixture = await buildFixture(victim.dir, platform)
  publishAll(registry, fixture)
  const offers = fixture.hello.images
    .map(({ descriptor }) => (descriptor.platform ? formatPlatform(descriptor.platform) : ''))
    .join(', ')
  const madeIn = duration(performance.now() - buildingSince)
  show.row(
    'registry',
    `${registry.host}/${REPOSITORY}:1 index: ${offers}; ${fixture.hello.images[0]?.layers.length} layers (made in ${madeIn})`,
  )
  signal.throwIfAborted()

  const places = { root: join(dir, 'root'), socket: join(dir, 'windlass.sock'), hostsDir: join(dir, 'certs.d') }
  mkdirSync(places.hostsDir)
  const start = async (): Promise<Daemon> => cleanup.use(await startDaemon(places, { signal }))
  const daemon = await start()
  show.row('daemon', `windlass serve: ready in ${duration(daemon.readyMs)} on unix://${places.socket}`)
  const connection = cleanup.use(await connect(places.socket, { signal }))
  const stage: Stage = { show, signal, dir, places, platform, registry, fixture, victim, daemon: connection }
  await (mayUnpack() ? play(stage, daemon, start) : look(stage))
  return dir
}

async function play(stage: Stage, daemon: Daemon, start: () => Promise<Daemon>): Promise<void> {
  await pull(stage)
  await again(stage)
  await list(stage)
  await inspect(stage)
  await use(stage)
  await hostile(stage)
  await otherPlatform(stage)
  await using restarted = await crash(stage, daemon, start)
  await removeAll(stage, restarted)
}

/** What can be seen without the right to unpack. */
async function look(stage: Stage): Promise<void> {
  await plan(stage)
  stage.show.row(
    'no root',
    'unpacking sets owners and makes whiteout devices: this user may not, nor make a user namespace to be root of',
  )
  await otherPlatform(stage)
}

/** Removes every image as kubelet does, stops the daemon, and looks for what is left. */
async function removeAll({ places, signal }: Stage, daemon: Daemon): Promise<void> {
  using connection = await connect(places.socket, { signal })
  const { images } = await connection.image.listImages({}, { signal })
  for (const { id } of images) await connection.image.removeImage({ image: { image: id } }, { signal })
  const answer = await connection.image.listImages({}, { signal })
  expect(answer.images.length === 0, 'no image is listed any more')
  // Their files are unlinked behind the answers; a daemon that is told to stop leaves the rest of that to its next start.
  await connection.windlass.collect({}, { signal })
  await daemon[Symbol.asyncDispose]()
  expect(!existsSync(places.socket), 'the socket is gone')
  // overlay/l is the empty directory of the layers' short names; the records list no layer any more.
  const expected = ['l', 'layers.json', 'layers.lock']
  const left = ['overlay', 'overlay-layers', 'staging', 'trash'].flatMap((name) =>
    below(join(places.root, name)).flatMap((path) => (expected.includes(path) ? [] : [join(name, path)])),
  )
  const some = left.slice(0, 3).join(', ')
  expect(left.length === 0, `the store is empty; below ${places.root} are ${left.length} files and directories: ${some}, …`)
}

function publishAll(registry: Parameters<typeof publish>[0], { hello, updated, dots, link }: Fixture): void {
  publish(registry, REPOSITORY, '1', hello)
  publish(registry, REPOSITORY, '2', updated)
  publish(registry, 'demo/hostile', 'dots', dots)
  publish(registry, 'demo/hostile', 'link', link)
}
