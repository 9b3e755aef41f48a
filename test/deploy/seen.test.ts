/** The dashboard and the alerts: every query is about series that the daemon really has, and the alerts go off when they should. */
import { spawnSync } from 'node:child_process'
import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { z } from 'zod'
import { isForwardable } from '../../src/cri/forwardable.ts'
import { PASSTHROUGH_REASONS, PREPULL_STATES, PULL_PHASES } from '../../src/metrics/metrics.ts'
import { lacking } from '../integration/lacking.ts'
import { type Family, familiesIn, scrapeOfEverything } from '../integration/scrape.ts'
import { CASES, promtoolTests } from './alerts.ts'
import { type Selector, selectorsIn } from './promql.ts'

const deploy = join(import.meta.dirname, '..', '..', 'deploy')
const targetSchema = z.object({ expr: z.string().min(1), legendFormat: z.string() })
const dashboard = z
  .object({
    panels: z.array(z.object({ id: z.int(), title: z.string(), type: z.string(), targets: z.array(targetSchema).default([]) })),
    templating: z.object({ list: z.array(z.object({ name: z.string(), definition: z.string().optional() })) }),
  })
  .parse(JSON.parse(readFileSync(join(deploy, 'grafana/windlass.json'), 'utf8')))
const rulesSchema = z.strictObject({
  groups: z.array(
    z.strictObject({
      name: z.string(),
      rules: z.array(
        z.strictObject({
          alert: z.string(),
          expr: z.string(),
          for: z.string().optional(),
          labels: z.strictObject({ severity: z.enum(['info', 'warning', 'critical']) }),
          annotations: z.strictObject({ summary: z.string(), description: z.string() }),
        }),
      ),
    }),
  ),
})
const rules = z
  .strictObject({
    apiVersion: z.literal('monitoring.coreos.com/v1'),
    kind: z.literal('PrometheusRule'),
    metadata: z.object({ name: z.string() }),
    spec: rulesSchema,
  })
  .parse(parse(readFileSync(join(deploy, 'prometheus/windlass.yaml'), 'utf8'))).spec
const alerts = rules.groups.flatMap((group) => group.rules)

/** As Grafana fills in what it knows. */
const filledIn = (query: string): string => query.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*')
const targets = dashboard.panels.flatMap(({ title, targets: all }) => all.map((each) => ({ title, ...each })))
const queries = [
  ...targets.map(({ title, expr }) => ({ of: title, query: filledIn(expr) })),
  ...alerts.map(({ alert, expr }) => ({ of: alert, query: expr })),
]

/** Prometheus itself adds these. */
const OF_THE_TARGET = new Set(['job', 'instance'])
/** Labels whose values are all known, whatever has happened so far. */
const CLOSED: Readonly<Record<string, ReadonlySet<string>>> = {
  phase: new Set(PULL_PHASES),
  state: new Set(PREPULL_STATES),
  result: new Set(['pulled', 'here', 'stale', 'failed']),
  outcome: new Set(['sent', 'dropped']),
  quantile: new Set(['0.5', '0.99', '1']),
  reason: new Set([...PASSTHROUGH_REASONS, ...Object.keys(isForwardable)]),
}

function problemsOf({ metric, matchers, labels, isRated }: Selector, families: ReadonlyMap<string, Family>): readonly string[] {
  const family = families.get(metric)
  if (family === undefined) return [`there is no metric ${metric}`]
  const strange = [...labels].filter((label) => !OF_THE_TARGET.has(label) && !family.labels.has(label))
  const unknown = matchers.flatMap(({ label, values }) => {
    const known = OF_THE_TARGET.has(label) ? undefined : (CLOSED[label] ?? family.labels.get(label))
    return known === undefined ? [] : values.filter((value) => !known.has(value)).map((value) => `${label}="${value}"`)
  })
  const isCounter = family.type === 'counter' || family.type === 'histogram'
  return [
    ...strange.map((label) => `${metric} has no label ${label}`),
    ...unknown.map((value) => `${metric} never has ${value}`),
    ...(isRated && !isCounter ? [`${metric} is no counter, and its rate means nothing`] : []),
    ...(!isRated && isCounter ? [`${metric} only grows, and its value means nothing`] : []),
  ]
}

describe('the reader of queries', () => {
  const families = familiesIn(
    '# TYPE a counter\na_total{x="1"} 1\n# TYPE b gauge\nb{y="2"} 1\n# TYPE c histogram\nc_bucket{le="1"} 1\n',
  )
  const problems = (query: string) => selectorsIn(query).flatMap((each) => problemsOf(each, families))

  it.each([
    'sum by (x) (rate(a_total{instance=~".*",x!="1"}[5m])) > 0.5',
    'b{y="2"} / (b > 0) and on (job, instance) b',
    'histogram_quantile(0.9, sum by (le) (rate(c_bucket[5m]))) or vector(0)',
    'topk(10, min_over_time(b[5m])) * -1',
  ])('accepts %s', (query) => {
    expect(problems(query)).toEqual([])
  })

  it.each([
    ['d', 'no metric d'],
    ['rate(a_total{z="1"}[5m])', 'no label z'],
    ['sum by (z) (rate(a_total[5m]))', 'no label z'],
    ['rate(a_total{x=~"1|3"}[5m])', 'never has x="3"'],
    ['rate(b[5m])', 'no counter'],
    ['a_total > 3', 'only grows'],
    ['b and on (z) b', 'no label z'],
  ])('sees what is wrong with %s', (query, what) => {
    expect(problems(query).join()).toContain(what)
  })

  it.each(['sum by (x) b)', 'b b', 'rte(a_total[5m])', 'b{x~"1"}', 'b{', 'b > ', 'b;'])(
    'does not take %s for a query',
    (query) => {
      expect(() => selectorsIn(query)).toThrow(SyntaxError)
    },
  )
})

describe.skipIf(lacking('root'))('the dashboard and the alerts', () => {
  let families: ReadonlyMap<string, Family>
  beforeAll(async () => {
    families = familiesIn(await scrapeOfEverything({ signal: AbortSignal.timeout(100_000) }))
  })

  it.each(queries)('$of: $query', ({ query }) => {
    const selectors = selectorsIn(query)
    expect(selectors.length).toBeGreaterThan(0)
    expect(selectors.flatMap((each) => problemsOf(each, families))).toEqual([])
  })

  it('between them use every metric of ours', () => {
    const used = new Set(queries.flatMap(({ query }) => selectorsIn(query).map(({ metric }) => base(metric))))
    expect([...families.keys()].map(base).filter((name) => !used.has(name))).toEqual([])
  })

  it('name what a line is about only by labels it has', () => {
    for (const { title, expr, legendFormat } of targets) {
      const labels = new Set(selectorsIn(filledIn(expr)).flatMap((each) => [...each.labels]))
      for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
        expect(labels.has(label) || label === 'instance', `${title}: ${label}`).toBe(true)
    }
  })

  it('choose instances by a metric that all have', () => {
    const definitions = dashboard.templating.list.flatMap(({ definition }) => definition ?? [])
    expect(definitions).toEqual(['label_values(windlass_build_info, instance)'])
    expect(families.has('windlass_build_info')).toBe(true)
  })
})

const base = (metric: string): string => metric.replace(/_(?:bucket|sum|count)$/, '')

describe('the dashboard', () => {
  it('has panels with ids of their own, each with something to show', () => {
    const ids = dashboard.panels.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const { type, targets: shown } of dashboard.panels) expect(shown.length > 0).toBe(type !== 'row')
  })
})

describe.skipIf(lacking('promtool'))('the alerts', () => {
  const promtool = (what: 'check' | 'test', text: string, file: string) => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-rules-'))
    writeFileSync(join(dir.path, 'rules.yaml'), stringify(rules))
    writeFileSync(join(dir.path, file), text)
    const { status, stdout, stderr } = spawnSync('promtool', [what, 'rules', file], { cwd: dir.path, encoding: 'utf8' })
    return { status, said: `${stdout}${stderr}` }
  }

  it('are rules that Prometheus takes', () => {
    expect(promtool('check', stringify(rules), 'rules.yaml')).toMatchObject({ status: 0 })
    expect(
      promtool('check', stringify(rules).replace('windlass_runtime_up ==', 'windlass_runtime_up ='), 'rules.yaml').status,
    ).not.toBe(0)
  })

  it('go off when they should, and are still otherwise', () => {
    expect(Object.keys(CASES)).toEqual(alerts.map(({ alert }) => alert))
    const { status, said } = promtool('test', stringify(promtoolTests('rules.yaml')), 'tests.yaml')
    expect(said).toContain('SUCCESS')
    expect(status).toBe(0)
  })
})
