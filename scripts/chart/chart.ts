/** `npm run chart`: what deploy/ has of the chart's making. A test holds that all of it is current. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { optionsOf } from '../options.ts'
import { renderChart } from './render.ts'
import { valuesJsonSchema } from './values.ts'

const top = resolve(import.meta.dirname, '..', '..')
export const chartDir = join(top, 'deploy', 'helm', 'windlass')
const base = 'deploy/kubernetes'
const HEAD = '# Made from the chart in deploy/helm by npm run chart.\n'

export const defaultValues = (): Readonly<Record<string, unknown>> =>
  z.record(z.string(), z.unknown()).parse(parse(readFileSync(join(chartDir, 'values.yaml'), 'utf8')))

/** The files it writes, by their path in the project. */
export function made(): ReadonlyMap<string, string> {
  const release = { name: 'windlass', namespace: 'windlass', service: 'kustomize' }
  const rendered = renderChart(chartDir, { values: defaultValues(), release })
  const telling = renderChart(chartDir, { values: tellingValues(), release })
  const resources = ['serviceaccount.yaml', 'daemonset.yaml', 'networkpolicy.yaml'].map(
    (name) => [`${base}/${name}`, `${HEAD}${plain(rendered.get(name))}`] as const,
  )
  return new Map([
    ['deploy/helm/windlass/values.schema.json', valuesJsonSchema()],
    ...resources,
    [`${base}/windlass.yaml`, `${HEAD}${configurationIn(rendered)}`],
    [`${base}/cluster/rbac.yaml`, `${HEAD}${plain(telling.get('rbac.yaml'))}`],
    [`${base}/cluster/windlass.yaml`, `${HEAD}${configurationIn(telling)}`],
  ])
}

const chartConfig = z.looseObject({ prepull: z.looseObject({}) })

/** The defaults, with the cluster told of image lists. */
export function tellingValues(): Readonly<Record<string, unknown>> {
  const values = defaultValues()
  const config = chartConfig.parse(values.config)
  return { ...values, config: { ...config, prepull: { ...config.prepull, kubernetes: true } } }
}

const configMap = z.object({ data: z.object({ 'windlass.yaml': z.string() }) })

const configurationIn = (rendered: ReadonlyMap<string, string>): string =>
  configMap.parse(parse(rendered.get('config.yaml') ?? '')).data['windlass.yaml']

/** kustomize names the config map by its content, which starts the pods anew as the chart's annotation does. */
function plain(yaml: string | undefined): string {
  if (yaml === undefined) throw new Error('the chart renders nothing of it by default')
  return yaml.replace(/^ {6}annotations:\n {8}windlass\.dev\/config: \S+\n/m, '')
}

if (import.meta.main) {
  optionsOf({
    command: 'npm run chart',
    about: `Writes what deploy/ has of the chart's making: values.schema.json from the program's own schema, the kustomize base, which is the
      chart with its defaults, and the component by which the cluster is told of lists.`,
    takes: 'seconds',
    options: {},
  })
  for (const [path, text] of made()) writeFileSync(join(top, path), text)
}
