/** The same layers as images, pulled over CRI by a whole daemon from the embedded registry. */
import { existsSync } from 'node:fs'
import { failureOf } from '../../src/failure/failure.ts'
import { sha256 } from '../../src/oci/digest.ts'
import { RpcError } from '../../src/rpc/status.ts'
import { eventually, startNode } from '../integration/node.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { descriptorsOf } from '../support/children.ts'
import { buildImage, publish } from '../support/image.ts'
import { createRandom } from '../support/random.ts'
import { makeVictim } from '../support/victim.ts'
import { type Outcome, PATIENCE_MS, type Wrong } from './arena.ts'
import { makeLayer, type Targets } from './layer.ts'
import { note, seedOf, type Tally } from './run.ts'

/** The kind of failure behind a call's status. */
const said = (error: unknown): string => (error instanceof RpcError ? (error.kind ?? error.code) : failureOf(error).kind)

const here = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' }

export async function runDaemon(count: number, seed: number, tally: Tally): Promise<void> {
  const { signal } = new AbortController()
  await using registry = await startRegistry()
  await using node = await startNode({ signal })
  const { windlass } = node
  const victim = makeVictim(node.at('victim'))
  const canary = '/windlass-fuzz-canary'
  const targets: Targets = [
    victim.dir,
    '../victim',
    '../../../../victim',
    '../../../../../victim',
    canary,
    `../../../../../../../../..${canary}`,
  ]
  const descriptors = (): number => descriptorsOf(windlass.daemon.pid)
  let usual: number | undefined

  for (let at = 0; at < count; at++) {
    const own = seedOf(seed, at)
    const random = createRandom(own)
    const layers = Array.from({ length: 1 + random.below(3) }, (_, place) => makeLayer(own * 7 + place, targets))
    const image = buildImage({ platform: here, layers: layers.map(({ tar, blob, compression }) => ({ tar, blob, compression })) })
    publish(registry, 'fuzz/layer', `${own}`, image)
    const reference = `${registry.host}/fuzz/layer:${own}`
    const start = performance.now()
    const outcome = await attack(reference)
    tally.slowestMs = Math.max(tally.slowestMs, performance.now() - start)
    note(
      tally,
      own,
      layers.flatMap(({ did }) => did),
      outcome,
    )
    if (!existsSync(`/proc/${windlass.daemon.pid}`)) return
    for (const { blob } of image.layers) registry.removeBlob(sha256(blob))
    if (at % 50 !== 49) continue
    const now = descriptors()
    usual ??= now
    // The daemon keeps a few connections of its own.
    if (now > usual + 8)
      note(tally, own, [], { end: 'looked at', wrong: [{ kind: 'leak', detail: `${now} descriptors, ${usual} before` }] })
  }

  async function attack(reference: string): Promise<Outcome> {
    const late = AbortSignal.timeout(PATIENCE_MS)
    const end = await node.pull(reference, { signal: late }).then(
      () => 'accepted',
      (error: unknown) => (late.aborted ? 'hang' : said(error)),
    )
    const wrong: Wrong[] = end === 'hang' ? [{ kind: 'hang', detail: reference }] : []
    if (end === 'internal' || end === 'system') wrong.push({ kind: 'crash', detail: end })
    try {
      if (end === 'accepted') await windlass.cri.image.removeImage({ image: { image: reference } }, { signal: late })
      await windlass.cri.image.listImages({}, { signal: late })
    } catch (error) {
      wrong.push({
        kind: 'crash',
        detail: `the daemon does not answer: ${failureOf(error).kind}\n${windlass.daemon.output().slice(-2000)}`,
      })
    }
    if (!victim.unchanged() || existsSync(canary)) wrong.push({ kind: 'escape', detail: reference })
    await eventually(async () => (await node.unfinished()).length === 0, { signal }).catch(async () => {
      wrong.push({ kind: 'leftover', detail: (await node.unfinished()).join(', ') })
    })
    return { end, wrong }
  }
}
