/** kubelet's CredentialProviderConfig (kubelet.config.k8s.io/v1), the file or directory of its --image-credential-provider-config. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { fail, failureOf } from '../failure/failure.ts'
import { readSmall } from '../registry/bounded.ts'
import { parseDuration } from '../units/units.ts'

const API_VERSIONS = ['kubelet.config.k8s.io/v1', 'kubelet.config.k8s.io/v1beta1'] as const
export const PLUGIN_VERSIONS = ['credentialprovider.kubelet.k8s.io/v1', 'credentialprovider.kubelet.k8s.io/v1beta1'] as const

export const duration = z.string().transform((given, context) => {
  const value = parseDuration(given)
  if (value !== undefined) return value
  context.addIssue({ code: 'custom', message: 'want a duration such as 12h' })
  return z.NEVER
})

const providerSchema = z.object({
  name: z.string().regex(/^(?!\.{1,2}$)[^/\\\s]+$/, 'want the name of a program in the directory of plugins'),
  matchImages: z.array(z.string().min(1)).min(1),
  defaultCacheDuration: duration,
  apiVersion: z.enum(PLUGIN_VERSIONS),
  args: z.array(z.string()).default([]),
  env: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
  tokenAttributes: z.unknown().optional(),
})
const configSchema = z.object({
  apiVersion: z.enum(API_VERSIONS),
  kind: z.literal('CredentialProviderConfig'),
  providers: z.array(providerSchema),
})

export type Provider = z.output<typeof providerSchema>

/** All providers, in their order. Throws bad-config with file and line. */
export async function readProviders(path: string): Promise<readonly Provider[]> {
  const providers = await Promise.all((await filesAt(path)).map(readFile))
  return providers.flat()
}

/** Of a directory, those with a suffix that kubelet takes. */
async function filesAt(path: string): Promise<readonly string[]> {
  try {
    const names = await readdir(path)
    return names
      .filter((name) => /\.(?:json|ya?ml)$/.test(name))
      .toSorted()
      .map((name) => join(path, name))
  } catch (error) {
    const failure = failureOf(error)
    if (failure.kind === 'system' && failure.code === 'ENOTDIR') return [path]
    if (failure.kind === 'system')
      return fail({ kind: 'bad-config', file: path, reason: `it cannot be read (${failure.code})` }, error)
    throw error
  }
}

async function readFile(file: string): Promise<readonly Provider[]> {
  const text = readSmall(file) ?? fail({ kind: 'bad-config', file, reason: 'there is no such file' })
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' })
  const [wrong] = document.errors
  if (wrong !== undefined) fail({ kind: 'bad-config', file, line: lines.linePos(wrong.pos[0]).line, reason: wrong.message })
  const result = configSchema.safeParse(document.toJS({ maxAliasCount: 100 }))
  if (result.success) return result.data.providers
  const [issue] = result.error.issues
  const path = issue?.path ?? []
  const node = document.getIn(path, true) ?? document.getIn(path.slice(0, -1), true)
  const range = typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range) ? node.range : undefined
  const start: unknown = range?.[0]
  return fail({
    kind: 'bad-config',
    file,
    ...(typeof start === 'number' ? { line: lines.linePos(start).line } : {}),
    ...(path.length === 0 ? {} : { field: path.join('.') }),
    reason: issue?.message ?? 'it is no CredentialProviderConfig',
  })
}
