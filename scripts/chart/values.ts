/** What the chart's values may be. The configuration and the lists in it are the program's own, without what the chart says itself. */
import { z } from 'zod'
import { imageListSchema } from '../../src/config/image-list.ts'
import { configurationSchema, path, whole } from '../../src/config/schema.ts'

const { metadata, spec } = imageListSchema.shape
const name = metadata.shape.name
const strings = z.record(z.string(), z.string())
const prepull = configurationSchema.shape.prepull.unwrap().omit({ listDir: true, secretsDir: true })
const config = configurationSchema
  .omit({ apiVersion: true, kind: true, metadata: true, rootDir: true, socket: true, runtime: true, metrics: true })
  .extend({ prepull: prepull.optional() })

export const valuesSchema = z.strictObject({
  image: z.strictObject({
    repository: z.string().min(1),
    tag: z.string(),
    digest: z.string().regex(/^(?:sha256:[0-9a-f]{64})?$/),
    pullPolicy: z.enum(['IfNotPresent', 'Always', 'Never']),
  }),
  imagePullSecrets: z.array(z.strictObject({ name })),
  lists: z.array(spec.extend({ name })),
  pullSecrets: z.array(name),
  runtime: z.strictObject({
    kind: z.enum(['containerd', 'crio']),
    socketDir: path,
    endpoint: z.string(),
    rootDir: path,
    configDir: path,
  }),
  rootDir: path,
  hostDirs: z.array(z.strictObject({ name, path })),
  config,
  metrics: z.strictObject({ port: whole(1, 65_535) }),
  podMonitor: z.strictObject({ enabled: z.boolean(), interval: z.string(), labels: strings }),
  networkPolicy: z.strictObject({ enabled: z.boolean(), egress: z.array(z.looseObject({})) }),
  priorityClassName: z.string(),
  // Kubernetes' own, which its API server checks.
  tolerations: z.array(z.looseObject({})),
  nodeSelector: strings,
  affinity: z.looseObject({}),
  maxUnavailable: z.union([z.string().regex(/^\d+%$/), whole(1, 100_000)]),
  resources: z.looseObject({}),
  podLabels: strings,
  podAnnotations: strings,
  // What helm adds where this chart is part of another.
  global: z.looseObject({}).optional(),
})

/** For helm, which knows draft 7. */
export const valuesJsonSchema = (): string =>
  `${JSON.stringify(z.toJSONSchema(valuesSchema, { io: 'input', target: 'draft-7' }), null, 2)}\n`
