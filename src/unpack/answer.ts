/**
 * What an extractor says, as its parent takes it: an extractor that was taken over may say anything, so all is checked, lengths
 * included, and what does not fit is no answer.
 */
import { z } from 'zod'
import { isDigest, parseDiffId } from '../oci/digest.ts'
import { jsonOrUndefined } from '../oci/json.ts'
import type { Answer, Greeting } from './messages.ts'
import { DIFFERENCE_KINDS, MAX_DIFFERENCES } from './verify/difference.ts'

/** Longer than any text of ours; names in layers are cut before. */
const text = z.string().max(4096)
const digest = z.string().refine(isDigest)
const count = z.int().nonnegative()
const milliseconds = z.number().nonnegative()

const layer = z.strictObject({
  diffId: digest.transform((value) => parseDiffId(value)),
  blobSize: count,
  diffSize: count,
  entries: count,
  whiteouts: count,
  warnings: z.array(text).max(20),
  waitMs: milliseconds,
  workMs: milliseconds,
  inflateMs: milliseconds,
  hashMs: milliseconds,
})

const verdict = z.strictObject({
  differences: z.array(z.strictObject({ path: text, kind: z.enum(DIFFERENCE_KINDS), detail: text })).max(MAX_DIFFERENCES),
  total: count,
  digest: z.enum(['equal', 'differs', 'unknowable']),
  entries: count,
  bytes: count,
  workMs: milliseconds,
})

/** The failures that unpacking a layer can have. */
const failure = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('digest-mismatch'), what: z.enum(['layer', 'diffID']), want: digest, got: text, from: text }),
  z.strictObject({ kind: z.literal('size-mismatch'), digest, want: count, got: count, from: text }),
  z.strictObject({ kind: z.literal('unsupported'), what: text, mediaType: text, hint: text }),
  z.strictObject({ kind: z.literal('bad-layer'), digest, entry: text.exactOptional(), reason: text }),
  z.strictObject({
    kind: z.literal('limit'),
    what: text,
    limit: z.number(),
    setting: text,
    digest: digest.exactOptional(),
  }),
  z.strictObject({ kind: z.literal('no-space'), path: text, code: text, inodes: z.literal(true).exactOptional() }),
  z.strictObject({ kind: z.literal('invalid-argument'), what: text, reason: text }),
  z.strictObject({ kind: z.literal('system'), operation: text, path: text.exactOptional(), code: text }),
  z.strictObject({ kind: z.literal('not-permitted'), what: text, missing: z.array(text).max(20) }),
  z.strictObject({ kind: z.literal('cancelled'), reason: z.literal('cancelled') }),
  z.strictObject({ kind: z.literal('internal'), what: text }),
])

const isLast = z.literal(true).exactOptional()
const answer = z.union([
  z.strictObject({ ok: z.literal(true), layer, isLast }),
  z.strictObject({ ok: z.literal(true), verdict, isLast }),
  z.strictObject({ ok: z.literal(false), failure, stack: z.string().max(65_536).optional(), isLast }),
])
const greeting = z.strictObject({ refused: z.array(text).max(20) })

/** Undefined where the line is not an answer. */
export const parseAnswer = (line: Buffer): Answer | undefined => answer.safeParse(jsonOrUndefined(line.toString())).data

/** Undefined where the line is not a greeting. */
export const parseGreeting = (line: Buffer): Greeting | undefined => greeting.safeParse(jsonOrUndefined(line.toString())).data
