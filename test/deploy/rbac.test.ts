/**
 * Where the cluster is told of image lists, and nowhere else, pods have a token, their node's name, and the rights that are used, no more:
 * test/kube's API server refuses everything else.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments, parseDocument } from 'yaml'
import { z } from 'zod'
import { chartDir, defaultValues, tellingValues } from '../../scripts/chart/chart.ts'
import { renderChart } from '../../scripts/chart/render.ts'
import { loadConfig } from '../../src/config/load.ts'

const base = join(import.meta.dirname, '../../deploy/kubernetes')
const read = (path: string): string => readFileSync(join(base, path), 'utf8')
const release = { name: 'warm', namespace: 'images', service: 'Helm' }
const render = (values: Readonly<Record<string, unknown>>) => renderChart(chartDir, { values, release })

const container = z.looseObject({ env: z.array(z.looseObject({ name: z.string() })).optional() })
const podSpec = z.looseObject({ automountServiceAccountToken: z.boolean(), containers: z.tuple([container]) })
const daemonSet = z.looseObject({ spec: z.looseObject({ template: z.looseObject({ spec: podSpec }) }) })
const podOf = (text: string | undefined) => daemonSet.parse(parse(text ?? '')).spec.template.spec

const NODE_NAME = { name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }

function expectRights(text: string, of: { readonly name: string; readonly namespace: string }): void {
  const documents = parseAllDocuments(text).map((document) => document.toJS())
  const roles = documents.filter(({ rules }) => rules !== undefined)
  expect(roles.map(({ kind, metadata: { namespace }, rules }) => ({ kind, namespace, rules }))).toEqual([
    { kind: 'ClusterRole', namespace: undefined, rules: [{ apiGroups: [''], resources: ['nodes/status'], verbs: ['patch'] }] },
    { kind: 'Role', namespace: 'default', rules: [{ apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] }] },
  ])
  const bindings = documents.filter(({ roleRef }) => roleRef !== undefined)
  expect(bindings.map(({ roleRef: { kind, name } }) => `${kind} ${name}`)).toEqual(
    roles.map(({ kind, metadata: { name } }) => `${kind} ${name}`),
  )
  expect(bindings.map(({ metadata: { namespace } }) => namespace)).toEqual(roles.map(({ metadata: { namespace } }) => namespace))
  for (const { subjects } of bindings) expect(subjects).toEqual([{ kind: 'ServiceAccount', ...of }])
}

describe('the chart', () => {
  it('gives no token, no name and no rights by default', () => {
    const rendered = render(defaultValues())
    expect(rendered.has('rbac.yaml')).toBe(false)
    const pod = podOf(rendered.get('daemonset.yaml'))
    expect(pod.automountServiceAccountToken).toBe(false)
    expect(pod.containers[0].env).toBeUndefined()
  })

  it('gives what is used, and no more, where the cluster is told', () => {
    const rendered = render(tellingValues())
    expectRights(rendered.get('rbac.yaml') ?? '', { name: 'warm', namespace: 'images' })
    const pod = podOf(rendered.get('daemonset.yaml'))
    expect(pod).toMatchObject({ serviceAccountName: 'warm', automountServiceAccountToken: true })
    expect(pod.containers[0].env).toEqual([NODE_NAME])
    // The account's other pods, if it ever has any, get none by themselves.
    expect(parse(rendered.get('serviceaccount.yaml') ?? '')).toMatchObject({ automountServiceAccountToken: false })
  })

  it('names what is the whole cluster by release and namespace, so that two of a name do not share it', () => {
    const names = (namespace: string) =>
      parseAllDocuments(
        renderChart(chartDir, { values: tellingValues(), release: { ...release, namespace } }).get('rbac.yaml') ?? '',
      )
        .map((document) => document.toJS())
        .map(({ kind, metadata: { name } }) => `${kind} ${name}`)
    expect(names('a').filter((name) => names('b').includes(name))).toEqual([])
  })

  it('is rendered without any configuration for lists', () => {
    expect(render({ ...defaultValues(), config: {} }).has('rbac.yaml')).toBe(false)
  })
})

describe("kustomize's component", () => {
  const patch = z.object({ op: z.enum(['add', 'replace']), path: z.string(), value: z.unknown() })
  const component = z.object({
    kind: z.literal('Component'),
    resources: z.array(z.string()),
    configMapGenerator: z.tuple([
      z.object({ name: z.string(), namespace: z.string(), behavior: z.string(), files: z.array(z.string()) }),
    ]),
    patches: z.tuple([z.object({ target: z.object({ kind: z.string(), name: z.string() }), patch: z.string() })]),
  })

  it('makes of the base what the chart makes', () => {
    const { resources, configMapGenerator, patches } = component.parse(parse(read('cluster/kustomization.yaml')))
    expect(resources).toEqual(['rbac.yaml'])
    expectRights(read('cluster/rbac.yaml'), { name: 'windlass', namespace: 'windlass' })

    expect(patches[0].target).toEqual({ kind: 'DaemonSet', name: 'windlass' })
    const patched = parseDocument(read('daemonset.yaml'))
    for (const { op, path, value } of z.array(patch).parse(parse(patches[0].patch))) {
      const keys = path.slice(1).split('/')
      // RFC 6902, 4.3: replace wants what is there.
      expect(patched.hasIn(keys), path).toBe(op === 'replace')
      patched.setIn(keys, patched.createNode(value))
    }
    const [ours, charts] = [podOf(patched.toString()), podOf(render(tellingValues()).get('daemonset.yaml'))]
    expect(ours.automountServiceAccountToken).toBe(charts.automountServiceAccountToken)
    expect(ours.containers[0].env).toEqual(charts.containers[0].env)

    // Merged into the base's of that name and namespace.
    const generated = { name: 'windlass-config', namespace: 'windlass', behavior: 'merge', files: ['windlass.yaml'] }
    expect(configMapGenerator).toEqual([generated])
    const config = loadConfig({ file: join(base, 'cluster/windlass.yaml'), flags: {}, env: {} })
    expect(config).toMatchObject({ prepull: { kubernetes: true }, warnings: [] })
  })
})
