/** Pulls as kubelet does, watched through the control service, and what the node shows of the image afterwards. */

import { z } from 'zod'
import { isLive } from '../src/cli/io.ts'
import { barsView } from '../src/cli/progress/bars.ts'
import { linesView } from '../src/cli/progress/view.ts'
import { bytes, duration, plural, shortDigest, table } from '../src/cli/text.ts'
import { eventOf } from '../src/cli/wire.ts'
import { expect, imageFor, layerGets, nameOf, type Stage } from './stage.ts'

/** What a pull would do. */
export async function plan(stage: Stage): Promise<void> {
  const { daemon, show, signal } = stage
  const { plan } = await daemon.windlass.plan({ reference: nameOf(stage, '1') }, { signal })
  expect(plan !== null, 'there is a plan')
  show.row(
    'plan',
    `${plan.platform} ${shortDigest(plan.manifest?.digest ?? '')}: ${plural(plan.layers.length, 'layer')}, ${bytes(plan.bytesToFetch)} to fetch`,
  )
}

/** PullImage, and the same pull joined over windlass.v1 to see it move. */
export async function pull(stage: Stage): Promise<void> {
  const { daemon, fixture, show, signal } = stage
  const reference = nameOf(stage, '1')
  show.row('pull', 'runtime.v1 PullImage, the call kubelet makes; windlass.v1 Pull joins it to watch')
  const { stdout } = process
  using view = isLive(stdout, process.env) ? barsView(stdout, show.paint, reference) : linesView(stdout)
  const watch = async (): Promise<void> => {
    for await (const message of daemon.windlass.pull({ reference }, { signal })) {
      const event = eventOf(message)
      if (event !== undefined) view.event(event)
    }
  }
  const [{ imageRef }] = await Promise.all([daemon.image.pullImage({ image: { image: reference } }, { signal }), watch()])
  const image = imageFor(stage, fixture.hello)
  expect(imageRef === image.id, `image_ref is the digest of the config, ${image.id}`)
  expect(layerGets(stage) === image.layers.length, 'each layer was fetched once, though two callers wanted it')
}

/** The same once more: the registry is asked, and nothing moves. */
export async function again(stage: Stage): Promise<void> {
  const { daemon, registry, show, signal } = stage
  const [layers, requests] = [layerGets(stage), registry.requests.length]
  const startedAt = performance.now()
  await daemon.image.pullImage({ image: { image: nameOf(stage, '1') } }, { signal })
  const took = performance.now() - startedAt
  expect(layerGets(stage) === layers, 'no layer was fetched again')
  const asked = registry.requests.slice(requests).map(({ method }) => method)
  show.row(
    'again',
    `${duration(took)}, 0 layer bytes; the registry was asked ${asked.length === 1 ? 'once' : plural(asked.length, 'time')} (${asked.join(', ')})`,
  )
}

/** What `crictl images` prints, from the same answer. */
export async function list({ daemon, show, signal }: Stage): Promise<void> {
  const { images } = await daemon.image.listImages({ filter: {} }, { signal })
  const rows = images.flatMap(({ id, repoTags, size }) =>
    repoTags.map((tag) => [
      tag.slice(0, tag.lastIndexOf(':')),
      tag.slice(tag.lastIndexOf(':') + 1),
      id.replace('sha256:', '').slice(0, 13),
      bytes(size),
    ]),
  )
  show.row('images', table(['IMAGE', 'TAG', 'IMAGE ID', 'SIZE'], rows))
}

/** The part of the verbose answer that is shown; `crictl inspecti` prints all of it. */
const info = z.object({
  chainID: z.string(),
  imageSpec: z.object({
    os: z.string(),
    architecture: z.string(),
    config: z.object({ Cmd: z.array(z.string()), Env: z.array(z.string()) }),
  }),
})

/** The gist of what `crictl inspecti` prints. */
export async function inspect(stage: Stage): Promise<void> {
  const { daemon, show, signal } = stage
  const answer = await daemon.image.imageStatus({ image: { image: nameOf(stage, '1') }, verbose: true }, { signal })
  expect(answer.image !== null, 'the image is here')
  const { chainID, imageSpec } = info.parse(JSON.parse(answer.info.info ?? '{}'))
  const digests = answer.image.repoDigests.map((digest) => digest.slice(digest.indexOf('@') + 1)).map(shortDigest)
  show.row(
    'inspecti',
    [
      `id ${shortDigest(answer.image.id)}  digest ${digests.join(', ')}  chainID ${shortDigest(chainID)}  size ${answer.image.size}`,
      `${imageSpec.os}/${imageSpec.architecture}  Cmd ${JSON.stringify(imageSpec.config.Cmd)}  Env ${JSON.stringify(imageSpec.config.Env)}`,
    ].join('\n'),
  )
}
