/** The part of kubelet that starts the chart's container: its arguments, its rights, and its volumes as mounts of an OCI runtime. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { chartDir, defaultValues } from '../../scripts/chart/chart.ts'
import { renderChart } from '../../scripts/chart/render.ts'

export type Mount = { readonly destination: string; readonly source: string; readonly type: 'bind'; readonly options: string[] }
export type Container = {
  readonly args: readonly string[]
  readonly capabilities: readonly string[]
  readonly readOnlyRoot: boolean
  readonly noNewPrivileges: boolean
  readonly mounts: readonly Mount[]
}

export const bind = (destination: string, source: string, readOnly = false): Mount => ({
  destination,
  source,
  type: 'bind',
  options: ['rbind', readOnly ? 'ro' : 'rw'],
})

const volume = z.union([
  z.object({ name: z.string(), hostPath: z.object({ path: z.string(), type: z.string() }) }),
  z.object({ name: z.string(), configMap: z.object({ name: z.string() }) }),
  z.object({ name: z.string(), emptyDir: z.looseObject({}) }),
])
const pod = z.object({
  containers: z.tuple([
    z.object({
      args: z.array(z.string()),
      securityContext: z.object({
        allowPrivilegeEscalation: z.boolean(),
        readOnlyRootFilesystem: z.boolean(),
        capabilities: z.object({ add: z.array(z.string()) }),
      }),
      volumeMounts: z.array(z.object({ name: z.string(), mountPath: z.string(), readOnly: z.boolean().optional() })),
    }),
  ]),
  volumes: z.array(volume),
})
const daemonSet = z.object({ spec: z.object({ template: z.object({ spec: pod }) }) })
const configMap = z.object({ metadata: z.object({ name: z.string() }), data: z.record(z.string(), z.string()).optional() })

/** `dir` is where volumes that are no directories of the node's lie. */
export function containerOf(values: Readonly<Record<string, unknown>>, dir: string): Container {
  const release = { name: 'windlass', namespace: 'windlass', service: 'Helm' }
  const rendered = renderChart(chartDir, { values: { ...defaultValues(), ...values }, release })
  const document = (file: string): unknown => parse(rendered.get(file) ?? '')
  const { containers, volumes } = daemonSet.parse(document('daemonset.yaml')).spec.template.spec
  const maps = ['config.yaml', 'lists.yaml'].map((file) => configMap.parse(document(file)))

  const sourceOf = (each: z.output<typeof volume>): string => {
    const path = 'hostPath' in each ? each.hostPath.path : join(dir, each.name)
    if (!('hostPath' in each) || each.hostPath.type === 'DirectoryOrCreate') mkdirSync(path, { recursive: true })
    const data = 'configMap' in each ? maps.find(({ metadata }) => metadata.name === each.configMap.name)?.data : undefined
    for (const [name, text] of Object.entries(data ?? {})) writeFileSync(join(path, name), text)
    return path
  }
  const sources = new Map(volumes.map((each) => [each.name, sourceOf(each)]))
  const [{ args, securityContext, volumeMounts }] = containers
  return {
    args,
    capabilities: securityContext.capabilities.add.map((name) => `CAP_${name}`),
    readOnlyRoot: securityContext.readOnlyRootFilesystem,
    noNewPrivileges: !securityContext.allowPrivilegeEscalation,
    mounts: volumeMounts
      .map(({ name, mountPath, readOnly }) => bind(mountPath, sources.get(name) ?? '', readOnly))
      // As runtimes do: a volume does not hide one below it (here all is below /tmp, which is one).
      .toSorted((a, b) => a.destination.split('/').length - b.destination.split('/').length),
  }
}
