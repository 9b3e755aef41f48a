/**
 * One trial, in a network namespace of its own: loopback is a link of so many bytes a second, a large image comes over it ahead of any pod, and
 * in the middle of that kubelet pulls. What came of it goes to stdout as JSON.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startContainerd } from '../integration/containerd.ts'
import { settings } from '../integration/lists.ts'
import { mounted } from '../integration/process.ts'
import { startWindlass, type Windlass } from '../integration/windlass.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { buildImage, publish } from '../support/image.ts'
import type { Outcome, PodPull } from './run.ts'

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '20' },
    warm: { type: 'string', default: '200' },
    small: { type: 'string', default: '4' },
    large: { type: 'string', default: '40' },
    into: { type: 'string', default: 'none' },
  },
})
const MEGA = 1_000_000
const bytesIn = (megabytes: string): number => Number(megabytes) * MEGA
const [rate, warm] = [bytesIn(values.rate), bytesIn(values.warm)]
const [small, large] = [bytesIn(values.small), bytesIn(values.large)]

const platform = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' }
const signal = AbortSignal.timeout(300_000)

/** Two layers that nothing else has. */
const imageOf = (bytes: number, fill: number) =>
  buildImage({
    platform,
    layers: [1, 2].map((at) => ({
      tar: [{ name: `${fill}-${at}`, content: Buffer.alloc(bytes / 2, fill * 2 + at) }],
      compression: 'none' as const,
    })),
  })

/** Bytes that loopback has carried in this namespace, heads included (proc_net_dev(5)). */
function carried(): number {
  const line = readFileSync('/proc/net/dev', 'utf8')
    .split('\n')
    .find((each) => each.trimStart().startsWith('lo:'))
  return Number(line?.trim().split(/[\s:]+/)[1])
}

/** A queue of 50 ms in front of it, as links have; segments as small as on a wire, so that buffers are of a wire's size too. */
function openLink(bytesPerSecond: number): void {
  execFileSync('ip', ['link', 'set', 'lo', 'up', 'mtu', '1500'])
  const rate = `${Math.round((bytesPerSecond * 8) / 1000)}kbit`
  execFileSync('tc', ['qdisc', 'add', 'dev', 'lo', 'root', 'tbf', 'rate', rate, 'burst', '64kb', 'latency', '50ms'])
}

async function warmBytes({ cri }: Windlass): Promise<number> {
  const { pulls } = await cri.windlass.listQueue({}, { signal })
  return pulls
    .filter(({ reference }) => reference.includes('/warm'))
    .flatMap(({ layers }) => layers)
    .reduce((sum, layer) => sum + layer.bytes, 0)
}

async function podPull({ cri }: Windlass, image: string, bytes: number): Promise<PodPull> {
  const [started, before] = [performance.now(), carried()]
  await cri.image.pullImage({ image: { image } }, { signal })
  const warmLeft = warm - (await warmBytes(windlass))
  return { bytes, ms: performance.now() - started, carried: carried() - before, warmLeft }
}

openLink(rate)
await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-preempt-'))
using _mounted = mounted(dir.path, ['-t', 'tmpfs', '-o', 'size=2g,nr_inodes=0', 'tmpfs'])
await using registry = await startRegistry()
const images = { warm: imageOf(warm, 1), small: imageOf(small, 2), large: imageOf(large, 3) }
for (const [name, image] of Object.entries(images)) publish(registry, name, '1', image)
await using containerd =
  values.into === 'containerd' ? await startContainerd(join(dir.path, 'containerd'), { signal }) : undefined
const { env, declare } = settings(dir.path)
declare(`${registry.host}/warm:1`)
const beside = containerd === undefined ? {} : { runtime: containerd }
await using windlass = await startWindlass(join(dir.path, 'windlass'), { signal, env, ...beside })
const before = carried()
for await (const _ of windlass.cri.windlass.watchQueue({}, { signal })) if ((await warmBytes(windlass)) > warm / 20) break
const pods = [
  await podPull(windlass, `${registry.host}/small:1`, small),
  await podPull(windlass, `${registry.host}/large:1`, large),
]
for await (const { declared } of windlass.cri.windlass.watchQueue({}, { signal }))
  if (declared?.images.every(({ state }) => state === 'here') === true) break
const outcome: Outcome = { rate, warm, pods, carried: carried() - before }
process.stdout.write(`${JSON.stringify(outcome)}\n`)
