/** What must not go wrong: layers that reach out, a platform that is not there, a daemon killed in the middle of a pull. */
import { join } from 'node:path'
import { duration, shortDigest } from '../src/cli/text.ts'
import { formatPlatform } from '../src/platform/platform.ts'
import { connect } from '../src/rpc/client.ts'
import { RpcError } from '../src/rpc/status.ts'
import type { Daemon } from './daemon.ts'
import { below } from './place.ts'
import { expect, imageFor, layerGets, nameOf, type Stage } from './stage.ts'

/** Layers that aim at a directory outside, by `../` and through an absolute symlink: refused, or held inside the layer. */
export async function hostile(stage: Stage): Promise<void> {
  const { daemon, show, signal, victim } = stage
  const attacks = [
    ['dots', '../victim'],
    ['link', 'symlink to /…/victim'],
  ] as const
  for (const [tag, what] of attacks) {
    const reference = nameOf(stage, tag, 'demo/hostile')
    const outcome = await outcomeOf(daemon.image.pullImage({ image: { image: reference } }, { signal }))
    expect(victim.unchanged(), `${what} has not touched the victim`)
    const verdict = outcome === 'done' ? await landing(stage, reference) : `refused: ${outcome.message}`
    show.row('hostile', `${what} ${verdict}; victim unchanged ${show.paint('green', '✓')}`)
  }
}

/** The attack's file must be somewhere; the place for it is inside the layer. */
async function landing({ daemon, signal }: Stage, reference: string): Promise<string> {
  const { layers } = await daemon.windlass.inspectImage({ image: reference }, { signal })
  const inside = below(layers[0]?.diff ?? '')
  expect(
    inside.some((path) => path.endsWith('/precious')),
    'the file lies inside the layer',
  )
  return 'kept inside the layer'
}

/** A platform the image does not have: the answer names those it has, before any layer moves. */
export async function otherPlatform(stage: Stage): Promise<void> {
  const { daemon, fixture, registry, show, signal } = stage
  const before = layerGets(stage)
  const outcome = await outcomeOf(
    drain(daemon.windlass.pull({ reference: nameOf(stage, '1'), platform: 'linux/s390x' }, { signal })),
  )
  expect(outcome instanceof RpcError && outcome.kind === 'no-platform', 'linux/s390x is refused')
  expect(layerGets(stage) === before && registry.requests.length > 0, 'no layer was asked for')
  const offers = fixture.hello.images.flatMap(({ descriptor: { platform } }) =>
    platform === undefined ? [] : [formatPlatform(platform)],
  )
  expect(
    offers.every((offer) => outcome.message.includes(offer)),
    'the answer names what there is',
  )
  show.row('s390x', `offers ${offers.join(', ')}; 0 layer bytes moved`)
}

/** SIGKILL while a layer is half here; `start` starts a daemon on the same root, which is returned. */
export async function crash(stage: Stage, daemon: Daemon, start: () => Promise<Daemon>): Promise<Daemon> {
  const { fixture, registry, show, signal } = stage
  const { digest, size } = fixture.update.descriptor
  const reference = nameOf(stage, '2')
  const released = Promise.withResolvers<void>()
  registry.fault = ({ path }) =>
    path.endsWith(digest) ? { kind: 'stall', afterBytes: size / 2, until: released.promise } : undefined
  const interrupted = outcomeOf(stage.daemon.image.pullImage({ image: { image: reference } }, { signal }))
  await halfHere(stage, digest, interrupted)
  await daemon.kill()
  const outcome = await interrupted
  expect(outcome instanceof RpcError, 'the caller is told')
  registry.fault = undefined
  released.resolve()

  const restarted = await start()
  expect(below(join(stage.places.root, 'staging')).length === 0, 'the half layer is gone')
  using connection = await connect(stage.places.socket, { signal })
  const [before, startedAt] = [layerGets(stage), performance.now()]
  const { imageRef } = await connection.image.pullImage({ image: { image: reference } }, { signal })
  expect(imageRef === imageFor(stage, fixture.updated).id, 'the second attempt brings the whole image')
  expect(layerGets(stage) - before === 1, 'only the layer that was missing is fetched')
  const told = `mid-pull of layer ${shortDigest(digest)} (caller: ${outcome.code}); ready again in ${duration(restarted.readyMs)}`
  show.row(
    'kill -9',
    `${told}; re-pull ${duration(performance.now() - startedAt)}, other layers reused ${show.paint('green', '✓')}`,
  )
  return restarted
}

/** Waits until the pull in flight has bytes of this layer; a pull that ends before is a fault of the demo's. */
async function halfHere({ daemon, signal }: Stage, digest: string, pull: Promise<RpcError | 'done'>): Promise<void> {
  const left = new AbortController()
  const watch = async (): Promise<void> => {
    for await (const { pulls } of daemon.windlass.watchPulls({}, { signal: AbortSignal.any([signal, left.signal]) })) {
      if (pulls.some(({ layers }) => layers.some((layer) => layer.digest === digest && layer.bytes > 0))) return
    }
  }
  const tooEarly = pull.then((outcome) =>
    expect(false, `the pull waits for its layer; it ended: ${outcome === 'done' ? outcome : outcome.message}`),
  )
  try {
    await Promise.race([watch(), tooEarly])
  } finally {
    left.abort()
    // Nobody waits for the loser of the race; the pull itself is awaited by whoever started it.
    tooEarly.catch(() => {})
  }
}

/** What a call came to; the demo's own abort is no outcome. */
async function outcomeOf(call: Promise<unknown>): Promise<RpcError | 'done'> {
  try {
    await call
    return 'done'
  } catch (error) {
    if (error instanceof RpcError && error.code !== 'CANCELLED') return error
    throw error
  }
}

async function drain(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of messages) {
    // Only the end counts.
  }
}
