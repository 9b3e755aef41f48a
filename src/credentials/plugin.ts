/** kubelet's exec plugins (credentialprovider.kubelet.k8s.io/v1): one program for each cloud, asked as kubelet asks it. */
import { join } from 'node:path'
import { z } from 'zod'
import { asWindlassError, describe, failureOf } from '../failure/failure.ts'
import { jsonOrUndefined } from '../oci/json.ts'
import type { Candidates, LoginTarget } from '../registry/registry.ts'
import { Flights } from '../task/flights.ts'
import type { Abortable } from '../task/task.ts'
import { type Login, nobody, type Source } from './credentials.ts'
import { fitting } from './matching.ts'
import { duration, PLUGIN_VERSIONS, type Provider, readProviders } from './plugin-config.ts'
import { passedOn, run } from './run.ts'

const TIMEOUT_MS = 60_000
const MAX_KEPT = 1_000
const TYPES = ['Image', 'Registry', 'Global'] as const

const responseSchema = z.object({
  apiVersion: z.enum(PLUGIN_VERSIONS),
  kind: z.literal('CredentialProviderResponse'),
  cacheKeyType: z.enum(TYPES),
  cacheDuration: duration.nullish(),
  auth: z.record(z.string(), z.object({ username: z.string(), password: z.string() })).nullish(),
})

type Response = z.output<typeof responseSchema>

export type PluginOptions = {
  /** A file, or a directory of them; and where the programs are. */
  readonly configPath: string
  readonly binDir: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly timeoutMs?: number
}

type Logins = readonly (readonly [key: string, login: Login])[]
type Kept = { readonly logins: Logins; readonly until: number }
/** `about`: the key of all that the answer is for. */
type Reply = { readonly about: string } & ({ readonly logins: Logins } | { readonly problem: string })
type KeyType = (typeof TYPES)[number]

export class PluginSource implements Source {
  readonly #options: PluginOptions
  /** What plugins have said, by the key they gave it. */
  readonly #kept = new Map<string, Kept>()
  /** What a plugin's last answer was for. Until it is known, one pull asks it and the others wait: it may be for all of them. */
  readonly #types = new Map<string, KeyType>()
  readonly #asking = new Flights<string, Reply>()

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
    const said = await this.#saidBy(provider, target, options)
    if ('problem' in said) return { logins: [], problems: [`credential provider ${provider.name}: ${said.problem}`] }
    return { logins: fitting(said.logins, target).map(([, login]) => login), problems: [] }
  }

  #known(provider: Provider, target: LoginTarget): Kept | undefined {
    return TYPES.map((type) => this.#kept.get(keyOf(provider, type, target))).find(
      (kept) => kept !== undefined && kept.until > performance.now(),
    )
  }

  /** However many pulls want to know what one answer is for, the program runs once; who leaves does not disturb the others. */
  async #saidBy(provider: Provider, target: LoginTarget, options: Abortable): Promise<Kept | Reply> {
    for (;;) {
      const known = this.#known(provider, target)
      if (known !== undefined) return known
      const type = this.#types.get(provider.name) ?? 'Global'
      const ask = (signal: AbortSignal): Promise<Reply> => this.#run(provider, target, { signal })
      const reply = await this.#asking.join(keyOf(provider, type, target), ask, options).catch((error: unknown) => {
        throw asWindlassError(error)
      })
      if (TYPES.some((each) => keyOf(provider, each, target) === reply.about)) return reply
    }
  }

  async #run(provider: Provider, target: LoginTarget, options: Abortable): Promise<Reply> {
    const answer = await this.#answer(provider, target, options)
    // Of what is wrong for one image nothing follows for another one.
    const type = 'problem' in answer ? 'Image' : answer.cacheKeyType
    this.#types.set(provider.name, type)
    const about = keyOf(provider, type, target)
    if ('problem' in answer) return { about, problem: answer.problem }
    const { auth, cacheDuration } = answer
    const logins: Logins = Object.entries(auth ?? {}).map(([key, login]) => [key, { kind: 'basic', ...login }])
    this.#keep(about, { logins, until: performance.now() + (cacheDuration ?? provider.defaultCacheDuration) })
    return { about, logins }
  }

  async #answer(provider: Provider, target: LoginTarget, options: Abortable): Promise<Response | { readonly problem: string }> {
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
    const { apiVersion } = response.data
    if (apiVersion !== provider.apiVersion)
      return { problem: `it answered in ${apiVersion}, and was asked in ${provider.apiVersion}` }
    return response.data
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

function keyOf({ name }: Provider, type: KeyType, { registry, repository }: LoginTarget): string {
  const about = { Image: [registry, repository], Registry: [registry], Global: [] }[type]
  return JSON.stringify([name, type, ...about])
}
