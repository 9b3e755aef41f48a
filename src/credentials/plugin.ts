/** kubelet's exec plugins (credentialprovider.kubelet.k8s.io/v1): one program for each cloud, asked as kubelet asks it. */
import { join } from 'node:path'
import { z } from 'zod'
import { describe, failureOf } from '../failure/failure.ts'
import { jsonOrUndefined } from '../oci/json.ts'
import type { Candidates, LoginTarget } from '../registry/registry.ts'
import type { Abortable } from '../task/task.ts'
import { type Login, nobody, type Source } from './credentials.ts'
import { fitting } from './matching.ts'
import { duration, PLUGIN_VERSIONS, type Provider, readProviders } from './plugin-config.ts'
import { passedOn, run } from './run.ts'

const TIMEOUT_MS = 60_000
const MAX_KEPT = 1_000

const responseSchema = z.object({
  apiVersion: z.enum(PLUGIN_VERSIONS),
  kind: z.literal('CredentialProviderResponse'),
  cacheKeyType: z.enum(['Image', 'Registry', 'Global']),
  cacheDuration: duration.nullish(),
  auth: z.record(z.string(), z.object({ username: z.string(), password: z.string() })).nullish(),
})

export type PluginOptions = {
  /** A file, or a directory of them; and where the programs are. */
  readonly configPath: string
  readonly binDir: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly timeoutMs?: number
}

type Logins = readonly (readonly [key: string, login: Login])[]
type Kept = { readonly logins: Logins; readonly until: number }
type Reply = { readonly logins: Logins } | { readonly problem: string }

export class PluginSource implements Source {
  readonly #options: PluginOptions
  /** What plugins have said, by the key they gave it. */
  readonly #kept = new Map<string, Kept>()
  readonly #asking = new Map<string, Promise<Reply>>()

  constructor(options: PluginOptions) {
    this.#options = options
  }

  async candidates(target: LoginTarget, options: Abortable): Promise<Candidates> {
    let providers: readonly Provider[]
    try {
      providers = await readProviders(this.#options.configPath)
    } catch (error) {
      const failure = failureOf(error)
      if (failure.kind !== 'bad-config') throw error
      return { logins: [], problems: [describe(failure)] }
    }
    const meant = providers.filter(
      ({ matchImages }) =>
        fitting(
          matchImages.map((each) => [each, true] as const),
          target,
        ).length > 0,
    )
    const found = await Promise.all(meant.map((provider) => this.#ask(provider, target, options)))
    return found.reduce(
      (all, { logins, problems }) => ({ logins: [...all.logins, ...logins], problems: [...all.problems, ...problems] }),
      nobody,
    )
  }

  async #ask(provider: Provider, target: LoginTarget, options: Abortable): Promise<Candidates> {
    const said = this.#known(provider, target) ?? (await this.#once(provider, target, options))
    if ('problem' in said) return { logins: [], problems: [`credential provider ${provider.name}: ${said.problem}`] }
    return { logins: fitting(said.logins, target).map(([, login]) => login), problems: [] }
  }

  #known(provider: Provider, target: LoginTarget): Kept | undefined {
    const keys = (['Image', 'Registry', 'Global'] as const).map((type) => keyOf(provider, type, target))
    return keys.map((key) => this.#kept.get(key)).find((kept) => kept !== undefined && kept.until > performance.now())
  }

  /** However many pulls want to know, the program runs once; who comes later, after a leaver's was ended, starts it anew. */
  async #once(provider: Provider, target: LoginTarget, options: Abortable): Promise<Reply> {
    const key = keyOf(provider, 'Image', target)
    const running = this.#asking.get(key)
    if (running !== undefined) {
      const reply = await running.catch(() => undefined)
      if (reply !== undefined) return reply
      options.signal.throwIfAborted()
    }
    const reply = this.#run(provider, target, options)
    this.#asking.set(key, reply)
    try {
      return await reply
    } finally {
      if (this.#asking.get(key) === reply) this.#asking.delete(key)
    }
  }

  async #run(provider: Provider, target: LoginTarget, options: Abortable): Promise<Reply> {
    const { binDir, env, timeoutMs = TIMEOUT_MS } = this.#options
    if (provider.tokenAttributes !== undefined && provider.tokenAttributes !== null)
      return { problem: 'it wants the token of a pod’s service account, which only kubelet has' }
    const request = {
      apiVersion: provider.apiVersion,
      kind: 'CredentialProviderRequest',
      image: `${target.registry}/${target.repository}`,
    }
    const answer = await run(
      {
        program: join(binDir, provider.name),
        args: provider.args,
        input: JSON.stringify(request),
        env: { ...passedOn(env), ...Object.fromEntries(provider.env.map(({ name, value }) => [name, value])) },
        timeoutMs,
      },
      options,
    )
    if (answer.kind === 'failed') return { problem: answer.reason }
    if (answer.code !== 0) return { problem: `it failed (exit ${answer.code})` }
    const response = responseSchema.safeParse(jsonOrUndefined(answer.output))
    if (!response.success) return { problem: 'it answered something else than a CredentialProviderResponse' }
    const { apiVersion, auth, cacheKeyType, cacheDuration } = response.data
    if (apiVersion !== provider.apiVersion)
      return { problem: `it answered in ${apiVersion}, and was asked in ${provider.apiVersion}` }
    const logins: Logins = Object.entries(auth ?? {}).map(([key, login]) => [key, { kind: 'basic', ...login }])
    this.#keep(keyOf(provider, cacheKeyType, target), {
      logins,
      until: performance.now() + (cacheDuration ?? provider.defaultCacheDuration),
    })
    return { logins }
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.delete(key)
    this.#kept.set(key, kept)
    const now = performance.now()
    for (const [other, { until }] of this.#kept) if (until <= now) this.#kept.delete(other)
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MAX_KEPT) break
      this.#kept.delete(oldest)
    }
  }
}

function keyOf({ name }: Provider, type: 'Image' | 'Registry' | 'Global', { registry, repository }: LoginTarget): string {
  const about = { Image: [registry, repository], Registry: [registry], Global: [] }[type]
  return JSON.stringify([name, type, ...about])
}
