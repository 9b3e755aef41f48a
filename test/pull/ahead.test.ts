/** Pulls ahead of any pod, beside pulls that a pod waits for. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { PullRequest } from '../../src/pull/pull.ts'
import { descendantsOf } from '../../src/sys/cost.ts'
import { behindNice, usualNice } from '../../src/sys/rank.ts'
import { lacking } from '../integration/lacking.ts'
import { type BuiltLayer, buildImage, buildLayer } from '../support/image.ts'
import { type Lab, openLab } from './lab.ts'

const layerOf = (bytes: number) => buildLayer({ tar: [{ name: 'file', content: randomBytes(bytes) }], compression: 'none' })
const ahead = (request: PullRequest): PullRequest => ({ ...request, client: 'prepull' })
const forPod = (request: PullRequest): PullRequest => ({ ...request, client: 'cri' })

/** How many bytes of layers a pull in flight has. */
const bytesOf = ({ puller }: Lab, name: string): number =>
  puller
    .inFlight()
    .filter(({ reference }) => reference.includes(name))
    .reduce((sum, { layers }) => sum + layers.reduce((all, { bytes }) => all + bytes, 0), 0)

/** How many bytes of a layer were asked for; of what came by ranges, those of all of them. */
function asked({ registry }: Lab, { descriptor: { digest, size } }: BuiltLayer): number {
  const ranges = registry.requests.filter(({ path }) => path.endsWith(digest)).map(({ range }) => range ?? 'bytes=0-')
  const spans = ranges.map((range) => /^bytes=(\d+)-(\d*)$/.exec(range) ?? [])
  return spans.reduce((sum, [, from, last]) => sum + (last === '' ? size - 1 : Number(last)) - Number(from) + 1, 0)
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await delay(5)
}

test('a layer that is brought ahead stands still while a pod’s pull runs, and goes on where it was', async () => {
  await using lab = await openLab({ ahead: { layers: 1 } })
  const hold = Promise.withResolvers<void>()
  const large = layerOf(12_000_000)
  const small = layerOf(1_000)
  const warm = lab.pull(ahead(lab.publish('warm:1', buildImage({ layers: [large] }))))
  await until(() => bytesOf(lab, 'warm') > 0)
  lab.registry.fault = ({ path }) => (path.includes('/pod/blobs/') ? { kind: 'hold', until: hold.promise } : undefined)
  const pod = lab.pull(forPod(lab.publish('pod:1', buildImage({ layers: [small] }))))
  await until(() => lab.registry.requests.some(({ path }) => path.includes('/pod/blobs/')))
  await delay(100)
  const before = bytesOf(lab, 'warm')
  await delay(300)
  expect(bytesOf(lab, 'warm')).toBe(before)
  expect(before).toBeLessThan(12_000_000)
  hold.resolve()
  await pod
  await warm
  expect(asked(lab, large)).toBe(large.descriptor.size)
})

test('a pod that wants the image itself, or a layer of it, does not wait for others', async () => {
  await using lab = await openLab({ ahead: { layers: 1, maxBytesPerSecond: 1_000 } })
  const [shared, another] = [layerOf(3_000_000), layerOf(3_000_000)]
  const both = lab.publish('both:1', buildImage({ layers: [shared, another] }))
  const warm = lab.pull(ahead(both))
  await until(() => bytesOf(lab, 'both') > 0)
  const started = performance.now()
  // At the rate of what is brought ahead each would take most of an hour.
  await lab.pull(forPod(lab.publish('part:1', buildImage({ layers: [shared] }))))
  await lab.pull(forPod(both))
  expect(performance.now() - started).toBeLessThan(10_000)
  await warm
  for (const layer of [shared, another]) expect(asked(lab, layer)).toBe(layer.descriptor.size)
})

test('pulls ahead take no place among those that pods wait for', async () => {
  await using lab = await openLab({ ahead: { layers: 1 } })
  const stand = Promise.withResolvers<void>()
  lab.registry.fault = ({ path }) => (path.includes('/warm') ? { kind: 'hold', until: stand.promise } : undefined)
  // The lab lets four run at once.
  const warm = [1, 2, 3, 4, 5].map((n) => lab.pull(ahead(lab.publish(`warm${n}:1`, buildImage({ layers: [layerOf(n)] })))))
  await lab.pull(forPod(lab.publish('pod:1', buildImage({ layers: [layerOf(1_000)] }))))
  stand.resolve()
  await Promise.all(warm)
})

test('what is brought ahead keeps within its rate', async () => {
  await using lab = await openLab({ ahead: { layers: 1, maxBytesPerSecond: 1_000_000 } })
  const { events } = await lab.pull(ahead(lab.publish('warm:1', buildImage({ layers: [layerOf(1_500_000)] }))))
  const [report] = events.flatMap((event) => (event.type === 'layer' ? [event.report] : []))
  expect(report?.networkMs).toBeGreaterThan(1_200)
})

test.skipIf(lacking('root', 'ionice'))(
  'what is brought ahead is unpacked behind everybody else, until a pod wants it',
  async () => {
    await using lab = await openLab({ ahead: { layers: 1, maxBytesPerSecond: 200_000 } })
    const request = lab.publish('warm:1', buildImage({ layers: [layerOf(3_000_000)] }))
    const before = new Set(extractors())
    const warm = lab.pull(ahead(request))
    await until(() => bytesOf(lab, 'warm') > 0)
    const mine = (): readonly number[] => extractors().filter((pid) => !before.has(pid))
    await until(() => mine().some((pid) => niceOf(pid) === behindNice()))
    const [pid = -1] = mine().filter((each) => niceOf(each) === behindNice())
    expect(ioClassOf(pid)).toMatch(/^idle/)
    const pod = lab.pull(forPod(request))
    await until(() => niceOf(pid) === usualNice())
    expect(ioClassOf(pid)).not.toMatch(/^idle/)
    await Promise.all([warm, pod])
  },
)

const extractors = (): readonly number[] =>
  descendantsOf(process.pid).filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('extractor.ts'))
/** proc_pid_stat(5): the name may hold spaces. */
const niceOf = (pid: number): number =>
  Number(
    readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ')[16],
  )
const ioClassOf = (pid: number): string => execFileSync('ionice', ['-p', String(pid)], { encoding: 'utf8' }).trim()
