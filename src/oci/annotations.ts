/** What the documents of an image say of it in words: annotations (image-spec annotations.md) and the config's labels. */
import { z } from 'zod'
import { check, parseObject } from './json.ts'

export type Words = Readonly<Record<string, string>>

const words = z.record(z.string(), z.string()).nullish()
const annotated = z.object({ annotations: words })
const index = z.object({ manifests: z.array(z.object({ digest: z.string(), annotations: words })) })
const labelled = z.object({ config: z.object({ Labels: words }).nullish() })

/** The annotations of a manifest or an index. Throws malformed. */
export function annotationsOf(bytes: Uint8Array, from: string): Words {
  const source = { what: 'annotations', from }
  return check(annotated, parseObject(bytes, source), source).annotations ?? {}
}

/** What an index says of the manifest with this digest. Throws malformed. */
export function entryAnnotationsOf(bytes: Uint8Array, digest: string, from: string): Words {
  const source = { what: 'index', from }
  const { manifests } = check(index, parseObject(bytes, source), source)
  return manifests.find((entry) => entry.digest === digest)?.annotations ?? {}
}

/** The labels of an image config. Throws malformed. */
export function labelsOf(bytes: Uint8Array, from: string): Words {
  const source = { what: 'labels', from }
  return check(labelled, parseObject(bytes, source), source).config?.Labels ?? {}
}
