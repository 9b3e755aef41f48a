/** The chart: what the daemon takes, and of one piece. helm itself is not asked: see docs/operate.md. */
import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { chartDir, defaultValues, tellingValues } from '../../scripts/chart/chart.ts'
import { parseTemplate } from '../../scripts/chart/parse.ts'
import { renderChart } from '../../scripts/chart/render.ts'
import { valuesSchema } from '../../scripts/chart/values.ts'
import { readImageLists } from '../../src/config/image-list.ts'
import { loadConfig } from '../../src/config/load.ts'

const top = resolve(import.meta.dirname, '..', '..')
const read = (path: string): string => readFileSync(join(top, path), 'utf8')

const named = z.looseObject({ name: z.string() })
const labels = z.record(z.string(), z.string())
const selector = z.object({ matchLabels: labels })
const daemonSet = z.object({
  kind: z.literal('DaemonSet'),
  metadata: z.object({ name: z.string(), namespace: z.string() }),
  spec: z.object({
    selector,
    template: z.object({
      metadata: z.object({ labels, annotations: labels }),
      spec: z.looseObject({
        serviceAccountName: z.string(),
        containers: z.tuple([
          z.looseObject({
            image: z.string(),
            args: z.array(z.string()),
            ports: z.tuple([z.object({ name: z.literal('metrics'), containerPort: z.number() })]),
            securityContext: z.looseObject({ capabilities: z.object({ drop: z.array(z.string()), add: z.array(z.string()) }) }),
            volumeMounts: z.array(named.extend({ mountPath: z.string() })),
          }),
        ]),
        volumes: z.array(named),
      }),
    }),
  }),
})
const configMap = z.object({ metadata: named, data: labels.optional() })

const release = { name: 'warm', namespace: 'images', service: 'Helm' }
const render = (values: Readonly<Record<string, unknown>>) =>
  renderChart(chartDir, { values: { ...defaultValues(), ...values }, release })
const document = <T>(schema: z.ZodType<T>, rendered: ReadonlyMap<string, string>, file: string): T =>
  schema.parse(parse(rendered.get(file) ?? 'absent'))

const everything = {
  image: { repository: 'r.example/w', tag: '', digest: `sha256:${'a'.repeat(64)}`, pullPolicy: 'Always' },
  imagePullSecrets: [{ name: 'ours' }],
  lists: [
    { name: 'base', priority: 10, images: [{ image: 'r.example/app:v2', imagePullPolicy: 'Always', refreshInterval: '1h' }] },
    { name: 'more', imagePullSecrets: [{ name: 'theirs' }], images: [{ image: 'r.example/tools:v1', pin: { ttl: '72h' } }] },
  ],
  pullSecrets: ['theirs'],
  runtime: {
    kind: 'crio',
    socketDir: '/run/crio',
    endpoint: 'unix:///run/crio/crio.sock',
    rootDir: '/var/lib/containers',
    configDir: '/etc/containers',
  },
  hostDirs: [{ name: 'archives', path: '/srv/images' }],
  config: {
    keepPartials: true,
    registry: { maxBytesPerSecond: '50Mi' },
    prepull: { minFreePercent: 10, archiveDir: '/srv/images' },
  },
  podMonitor: { enabled: true, interval: '15s', labels: { team: 'node' } },
  affinity: { nodeAffinity: {} },
  podLabels: { a: 'b' },
  podAnnotations: { c: 'd' },
}
const cases = [
  ['by default', {}],
  ['with all of it', everything],
  ['where the cluster is told', { config: tellingValues().config }],
] as const

it('a name stays one, whatever else YAML would read in it', () => {
  const names = ['1.0', 'true', 'null', '1e3']
  const rendered = render({ lists: names.map((name) => ({ name, images: [] })), pullSecrets: ['123'] })
  const texts = Object.values(document(configMap, rendered, 'lists.yaml').data ?? {})
  const list = z.looseObject({ metadata: named })
  expect(texts.map((text) => list.parse(parse(text)).metadata.name)).toEqual(names)
  expect(rendered.get('daemonset.yaml')).toContain('name: "123"')
})

describe('the values', () => {
  const schema = z.fromJSONSchema(
    z.record(z.string(), z.unknown()).parse(JSON.parse(read('deploy/helm/windlass/values.schema.json'))),
  )

  it.each(cases)('%s are what schema and program take', (_name, values) => {
    const all = { ...defaultValues(), ...values }
    expect(valuesSchema.safeParse(all)).toMatchObject({ success: true })
    expect(schema.safeParse(all)).toMatchObject({ success: true })
  })

  it.each([
    ['a key nobody knows', { imagee: {} }],
    ['a key that the configuration has not', { config: { keepBlob: true } }],
    ['what the chart says itself', { config: { rootDir: '/x' } }],
    ['a list with a mistake in it', { lists: [{ name: 'a', images: [{ imag: 'x' }] }] }],
    ['a port that is none', { metrics: { port: 0 } }],
  ])('with %s are refused', (_name, values) => {
    expect(schema.safeParse({ ...defaultValues(), ...values }).success).toBe(false)
  })
})

describe.each(cases)('the manifests %s', (_name, values) => {
  const rendered = render(values)
  const { spec, metadata } = document(daemonSet, rendered, 'daemonset.yaml')
  const pod = spec.template.spec
  const [container] = pod.containers

  it('are YAML of one release', () => {
    for (const [file, text] of rendered) {
      for (const each of parseAllDocuments(text).map((document) => document.toJS())) {
        expect(each, file).toMatchObject({ metadata: { labels: { 'app.kubernetes.io/instance': 'warm' } } })
        // Rights: test/deploy/rbac.test.ts.
        if (file !== 'rbac.yaml') expect(each).toMatchObject({ metadata: { namespace: 'images' } })
      }
      expect(text).not.toContain('{{')
    }
    expect(document(z.object({ metadata: named }), rendered, 'serviceaccount.yaml').metadata.name).toBe(pod.serviceAccountName)
    expect(metadata.name).toBe('warm')
  })

  it('select their own pods', () => {
    const selects = (file: string, at: (each: unknown) => unknown) =>
      selector
        .or(z.object({ matchLabels: labels }))
        .parse(at(document(z.looseObject({ spec: z.looseObject({}) }), rendered, file).spec))
    const podSelector = z.looseObject({ podSelector: selector })
    expect(spec.template.metadata.labels).toMatchObject(spec.selector.matchLabels)
    const policy = selects('networkpolicy.yaml', (each) => podSelector.parse(each).podSelector)
    expect(policy.matchLabels).toEqual(spec.selector.matchLabels)
    expect(rendered.has('podmonitor.yaml')).toBe('podMonitor' in values)
    if (!rendered.has('podmonitor.yaml')) return
    const monitor = selects('podmonitor.yaml', (each) => z.looseObject({ selector }).parse(each).selector)
    expect(monitor.matchLabels).toEqual(spec.selector.matchLabels)
  })

  it('mount what there is, and nothing inside a mount that is read-only', () => {
    const mounts = container.volumeMounts
    expect(mounts.map(({ name }) => name).toSorted()).toEqual(pod.volumes.map(({ name }) => name).toSorted())
    for (const { mountPath } of mounts)
      expect(
        mounts.filter((other) => mountPath.startsWith(`${other.mountPath}/`)),
        mountPath,
      ).toEqual([])
    const maps = pod.volumes.flatMap((volume) => z.object({ configMap: named }).safeParse(volume).data?.configMap.name ?? [])
    const there = ['config.yaml', 'lists.yaml'].map((file) => document(configMap, rendered, file).metadata.name)
    expect(maps.toSorted()).toEqual(there.toSorted())
  })

  it('have a configuration and lists that the daemon takes, and reach them', () => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-chart-'))
    const write = (name: string, text: string): string => {
      const file = join(dir.path, name)
      writeFileSync(file, text)
      return file
    }
    const { data } = document(configMap, rendered, 'config.yaml')
    const config = loadConfig({ file: write('windlass.yaml', data?.['windlass.yaml'] ?? ''), flags: {}, env: {} })
    expect(config.warnings).toEqual([])
    const mountOf = (volume: string) => container.volumeMounts.find(({ name }) => name === volume)?.mountPath
    expect(config.prepull?.listDir).toBe(mountOf('lists'))
    expect(config.prepull?.secretsDir).toBe(mountOf('secrets'))
    expect(config.prepull?.archiveDir).toBe(mountOf('host-archives'))
    expect(config.rootDir).toBe(mountOf('root'))
    expect(config.runtime.endpoint).toMatch(new RegExp(`^${mountOf('runtime-socket')}/`))
    expect(container.args).toEqual(['serve', '--config', join(mountOf('config') ?? '', 'windlass.yaml')])
    expect(config.socket.path).toMatch(new RegExp(`^${mountOf('run')}/`))
    expect(config.metrics).toEqual({ host: '0.0.0.0', port: container.ports[0].containerPort })

    const lists = Object.entries(document(configMap, rendered, 'lists.yaml').data ?? {})
    const names = lists.flatMap(([name, text]) => readImageLists(write(name, text)).map((list) => list.name))
    expect(names).toEqual('lists' in values ? ['base', 'more'] : [])
  })

  it('give no more rights than the unit does', () => {
    const service = read('deploy/systemd/windlass.service')
    const bounding = /^CapabilityBoundingSet=(.+)$/m.exec(service)?.[1]?.split(' ') ?? []
    expect(container.securityContext.capabilities).toEqual({
      drop: ['ALL'],
      add: bounding.map((name) => name.replace('CAP_', '')).toSorted(),
    })
    expect(container.securityContext).toMatchObject({ privileged: false, readOnlyRootFilesystem: true })
    expect(pod).toMatchObject({ securityContext: { seLinuxOptions: { type: 'spc_t' } } })
    expect(pod).not.toHaveProperty('hostPID')
  })
})

describe('the chart', () => {
  it('starts pods anew when their configuration is another, and not for a list', () => {
    const annotation = (values: Readonly<Record<string, unknown>>) =>
      document(daemonSet, render(values), 'daemonset.yaml').spec.template.metadata.annotations['windlass.dev/config']
    expect(annotation({ config: { keepPartials: true } })).not.toBe(annotation({}))
    expect(annotation({ lists: everything.lists })).toBe(annotation({}))
  })

  it('shows other directories of the node read-only, where they are there', () => {
    const { volumes, containers } = document(daemonSet, render(everything), 'daemonset.yaml').spec.template.spec
    expect(containers[0].volumeMounts).toContainEqual({ name: 'host-archives', mountPath: '/srv/images', readOnly: true })
    expect(volumes).toContainEqual({ name: 'host-archives', hostPath: { path: '/srv/images', type: 'Directory' } })
  })

  it('names its image by digest where there is one', () => {
    const image = (values: Readonly<Record<string, unknown>>) =>
      document(daemonSet, render(values), 'daemonset.yaml').spec.template.spec.containers[0].image
    expect(image({})).toBe('registry.example/windlass:0.1.0')
    expect(image(everything)).toBe(`r.example/w@sha256:${'a'.repeat(64)}`)
  })

  it('lets out all there is, or what is named, and then the API server too where it is told', () => {
    const policy = z.object({ spec: z.object({ egress: z.array(z.unknown()) }) })
    const egress = (values: Readonly<Record<string, unknown>>) =>
      document(policy, render(values), 'networkpolicy.yaml').spec.egress
    const registries = { to: [{ ipBlock: { cidr: '192.0.2.0/24' } }] }
    const apiServer = [443, 6443].map((port) => ({ port, protocol: 'TCP' }))
    expect(egress({})).toEqual([{}])
    expect(egress({ networkPolicy: { enabled: true, egress: [registries] } })).toEqual([registries])
    expect(egress({ ...tellingValues(), networkPolicy: { enabled: true, egress: [registries] } })).toEqual([
      registries,
      { ports: apiServer },
    ])
  })

  it('has the version of the program', () => {
    const { version } = z.object({ version: z.string() }).parse(JSON.parse(read('package.json')))
    expect(parse(read('deploy/helm/windlass/Chart.yaml'))).toMatchObject({ version, appVersion: version })
    expect(read('deploy/kubernetes/kustomization.yaml')).toContain(`newTag: ${version}`)
  })

  it('is not rendered where it uses what is not known here', () => {
    expect(() => parseTemplate('{{ $x := 1 }}')).toThrow('is not known here')
    expect(() => parseTemplate('{{ if .a }}')).toThrow('has no end')
    expect(() => parseTemplate('{{ end }}')).toThrow('ends nothing')
  })
})
