/** Reads `ImageList` documents. What a file says is checked whole: a list with one mistake in it is no list. */
import { z } from 'zod'
import { failureOf } from '../failure/failure.ts'
import type { ImageList } from '../prepull/prepull.ts'
import { formatReference, parseReference } from '../reference/parse.ts'
import { API_VERSION, durationAtLeast, MAX_TIMER_MS, whole } from './schema.ts'
import {
  check,
  documentsIn,
  failWith,
  headProblems,
  isEmpty,
  isEnough,
  type Problem,
  problem,
  readText,
  syntaxProblems,
} from './yaml.ts'

/** A ConfigMap holds at most 1 MiB. */
const READING = { maxBytes: 1024 * 1024, absent: 'there is no such file' } as const

const MAX_IMAGES = 1_000
const MAX_SECRETS = 20
/** Of what is no reference; the longest one has 255 characters and a digest. */
const MAX_SHOWN = 400
const MAX_PRIORITY = 1_000_000
/** More often would be a load on registries that nobody asked for. */
const MIN_REFRESH_MS = 60_000
/** A slow registry needs this much to say that it has nothing. */
const MIN_DEADLINE_MS = 10_000
/** With less a pin would be over before it is renewed. */
const MIN_TTL_MS = 60_000

/** As Kubernetes names things (RFC 1123): it becomes a pin's owner, and a directory's name. */
const name = z
  .string('want a name')
  .max(100)
  .regex(/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/, 'want a name of small letters, digits, "-" and "."')

const image = z.string('want an image such as registry.example/app:v2').transform((text, context) => {
  try {
    return parseReference(text)
  } catch (error) {
    const failure = failureOf(error)
    if (failure.kind !== 'invalid-reference') throw error
    context.addIssue({
      code: 'custom',
      message: `${JSON.stringify(text.slice(0, MAX_SHOWN))} is no image reference: ${failure.reason}`,
    })
    return z.NEVER
  }
})

/** It becomes the name of a file, or of a directory. */
const archive = z
  .string('want the name of an archive')
  .max(255)
  .regex(/^[a-z0-9][a-z0-9._-]*$/i, 'want the name of a file in prepull.archiveDir, without a directory')

const pullPolicy = z.enum(['IfNotPresent', 'Always'], 'want IfNotPresent or Always')

const declared = z
  .strictObject({
    image,
    imagePullPolicy: pullPolicy.optional(),
    refreshInterval: durationAtLeast(MIN_REFRESH_MS, '1h').optional(),
    pullDeadline: durationAtLeast(MIN_DEADLINE_MS, '30m', MAX_TIMER_MS).optional(),
    archive: archive.optional(),
    pin: z.strictObject({ ttl: durationAtLeast(MIN_TTL_MS, '72h') }).optional(),
  })
  .refine(
    ({ imagePullPolicy, refreshInterval }) => refreshInterval === undefined || imagePullPolicy === 'Always',
    'refreshInterval is for imagePullPolicy Always: what is here is not asked for again otherwise',
  )

export const imageListSchema = z.strictObject({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('ImageList'),
  metadata: z.strictObject({ name }),
  spec: z.strictObject({
    priority: whole(-MAX_PRIORITY, MAX_PRIORITY).optional(),
    imagePullSecrets: z.array(z.strictObject({ name })).max(MAX_SECRETS).optional(),
    images: z.array(declared).max(MAX_IMAGES),
  }),
})

/** The lists of a file. Throws bad-config, with all that is wrong. */
export function readImageLists(file: string): readonly ImageList[] {
  const text = readText(file, READING)
  const { documents, lines } = documentsIn(text)
  const lists: ImageList[] = []
  const problems: Problem[] = []
  for (const document of documents) {
    if (isEnough(problems)) break
    const wrong = [...syntaxProblems(document, lines, text), ...headProblems(document, ['ImageList'], lines)]
    problems.push(...wrong)
    if (wrong.length > 0 || isEmpty(document)) continue
    const checked = check(document, imageListSchema, lines)
    if ('problems' in checked) {
      problems.push(...checked.problems)
      continue
    }
    const list = listOf(checked.value)
    if (lists.some((other) => other.name === list.name))
      problems.push(problem(document, ['metadata', 'name'], lines, `there is another list ${list.name} in this file`))
    for (const [at, { name }] of list.images.entries())
      if (list.images.findIndex((other) => other.name === name) !== at)
        problems.push(problem(document, ['spec', 'images', at, 'image'], lines, `${name} is in this list already`))
    lists.push(list)
  }
  failWith(file, problems)
  return lists
}

function listOf({ metadata, spec }: z.output<typeof imageListSchema>): ImageList {
  return {
    name: metadata.name,
    priority: spec.priority ?? 0,
    secrets: (spec.imagePullSecrets ?? []).map(({ name }) => name),
    images: spec.images.map(({ image, imagePullPolicy, refreshInterval, pullDeadline, archive, pin }) => ({
      name: formatReference(image),
      reference: image,
      policy: imagePullPolicy ?? 'IfNotPresent',
      ...(refreshInterval === undefined ? {} : { refreshMs: refreshInterval }),
      ...(pullDeadline === undefined ? {} : { deadlineMs: pullDeadline }),
      ...(archive === undefined ? {} : { archive }),
      ...(pin === undefined ? {} : { pinMs: pin.ttl }),
    })),
  }
}
