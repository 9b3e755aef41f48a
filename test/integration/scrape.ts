/** What a real daemon shows once it has done everything it counts: with a store of its own, and beside a runtime. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Abortable } from '../../src/task/task.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { startForeign } from '../rpc/foreign.ts'
import { buildImage, buildLayer, publish } from '../support/image.ts'
import { eventually } from './node.ts'
import { startWindlass, type Windlass } from './windlass.ts'

const HEAD = 'apiVersion: windlass.dev/v1alpha1\nkind: '
const METRICS = { WINDLASS_METRICS_ADDRESS: '127.0.0.1:0' }
export const here = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' } as const

/** A metric's type, and all labels and values its samples have. */
export type Family = { readonly type: string; readonly labels: ReadonlyMap<string, ReadonlySet<string>> }

export async function scrape({ daemon }: Pick<Windlass, 'daemon'>, { signal }: Abortable): Promise<string> {
  const [, port] = await daemon.line(/"metrics":\{"host":"127\.0\.0\.1","port":(\d+)\}/, { signal })
  return await (await fetch(`http://127.0.0.1:${port}/metrics`, { signal })).text()
}

/** By the names that queries use: those of histograms end in `_bucket`, `_sum`, `_count`. */
export function familiesIn(text: string): ReadonlyMap<string, Family> {
  const families = new Map<string, { type: string; labels: Map<string, Set<string>> }>()
  let type = ''
  for (const line of text.split('\n')) {
    const [, said] = /^# TYPE \S+ (\S+)$/.exec(line) ?? []
    if (said !== undefined) type = said
    const [, name, labels = ''] = /^([a-z_]+)(?:\{(.*)\})? \S+$/.exec(line) ?? []
    if (name === undefined) continue
    const family = families.get(name) ?? { type, labels: new Map() }
    families.set(name, family)
    for (const [, label = '', value = ''] of labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g))
      family.labels.set(label, (family.labels.get(label) ?? new Set()).add(value))
  }
  return families
}

/** Both daemons' figures, one after the other. */
export async function scrapeOfEverything({ signal }: Abortable): Promise<string> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-scrape-'))
  return `${await ofOurOwn(join(dir.path, 'own'), { signal })}\n${await ofBeside(join(dir.path, 'beside'), { signal })}`
}

async function ofOurOwn(dir: string, { signal }: Abortable): Promise<string> {
  await using registry = await startRegistry()
  const layers = (['gzip', 'zstd', 'none'] as const).map((compression) =>
    buildLayer({ compression, tar: [{ name: compression, content: compression }] }),
  )
  publish(registry, 'test/app', '1', buildImage({ platform: here, layers }))
  publish(registry, 'test/turned', '1', buildImage({ platform: here, layers: layers.toReversed() }))
  const [lists, file] = [join(dir, 'lists'), join(dir, 'windlass.yaml')]
  mkdirSync(lists, { recursive: true })
  writeFileSync(file, `${HEAD}WindlassConfiguration\nprepull: {listDir: ${lists}, minFreePercent: 1}\n`)
  const image = `${registry.host}/test/app:1`
  writeFileSync(join(lists, 'base.yaml'), `${HEAD}ImageList\nmetadata: {name: base}\nspec: {images: [{image: "${image}"}]}\n`)
  await using windlass = await startWindlass(dir, { signal, env: { ...METRICS, WINDLASS_CONFIG: file } })
  await eventually(async () => (await scrape(windlass, { signal })).includes('{list="base",state="here"} 1'), { signal })
  const pull = (name: string) => windlass.cri.image.pullImage({ image: { image: name } }, { signal })
  await pull(image)
  await pull(`${registry.host}/test/turned:1`)
  await windlass.cri.windlass.listPulls({}, { signal })
  registry.fault = () => ({ kind: 'status', status: 503, headers: { 'retry-after': '0' } })
  await pull(`${registry.host}/test/app:2`).catch(() => {})
  return await scrape(windlass, { signal })
}

async function ofBeside(dir: string, { signal }: Abortable): Promise<string> {
  mkdirSync(dir, { recursive: true })
  const socket = join(dir, 'runtime.sock')
  // It listens, and says nothing of itself: our own way of pulling does not open.
  const pullImage = (_: unknown, callback: (error: null, answer: Buffer) => void): void => callback(null, Buffer.alloc(0))
  await using _runtime = await startForeign(socket, { unary: { '/runtime.v1.ImageService/PullImage': pullImage } })
  await using windlass = await startWindlass(dir, { signal, env: METRICS, runtime: { kind: 'containerd', socket } })
  await windlass.cri.image.pullImage({ image: { image: 'r.example/app:1' } }, { signal })
  return await scrape(windlass, { signal })
}
