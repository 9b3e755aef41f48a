/**
 * Files with logins: docker's config.json, podman's auth.json (containers-auth.json(5)), and Kubernetes' pull secrets as files,
 * .dockerconfigjson and .dockercfg. A helper that is named for a registry is asked before the file's own entries, as docker does.
 */
import { z } from 'zod'
import { describe, failureOf } from '../failure/failure.ts'
import { readSmall } from '../registry/bounded.ts'
import { basicIn } from '../registry/credentials.ts'
import type { Candidates, LoginTarget } from '../registry/registry.ts'
import type { Abortable } from '../task/task.ts'
import { type Login, nobody, type Source } from './credentials.ts'
import { askHelper } from './helper.ts'
import { lineOfMistake } from './json-line.ts'
import { fitting } from './matching.ts'
import { passedOn } from './run.ts'

const text = z.string().default('')
const entrySchema = z.object({ auth: text, username: text, password: text, identitytoken: text, registrytoken: text })
type Entry = z.output<typeof entrySchema>

const configSchema = z.object({
  auths: z.record(z.string(), entrySchema).nullish(),
  credHelpers: z.record(z.string(), z.string()).nullish(),
  credsStore: z.string().nullish(),
})
const legacySchema = z.record(z.string(), z.unknown())

type AuthFile = {
  readonly auths: Readonly<Record<string, Entry>>
  readonly credHelpers: Readonly<Record<string, string>>
  readonly credsStore: string
}

export type AuthFileOptions = {
  readonly env: Readonly<Record<string, string | undefined>>
  /** A file that is not there is a problem; else it has no logins. */
  readonly mustExist: boolean
}

/** Read anew each time it is asked. */
export function authFileSource(file: string, { env, mustExist }: AuthFileOptions): Source {
  return {
    candidates: async (target, options) => {
      try {
        const json = readSmall(file)
        if (json !== undefined) return await candidatesIn(parseAuthFile(json), file, target, passedOn(env), options)
        return mustExist ? { logins: [], problems: [`${file}: there is no such file`] } : nobody
      } catch (error) {
        const failure = failureOf(error)
        if (error instanceof AuthFileError) return { logins: [], problems: [`${file}${error.message}`] }
        if (failure.kind !== 'bad-config') throw error
        return { logins: [], problems: [describe(failure)] }
      }
    },
  }
}

async function candidatesIn(
  { auths, credHelpers, credsStore }: AuthFile,
  file: string,
  target: LoginTarget,
  env: Readonly<Record<string, string>>,
  options: Abortable,
): Promise<Candidates> {
  const [named] = fitting(Object.entries(credHelpers), target)
  const helper = named?.[1] ?? credsStore
  const stored = helper === '' ? nobody : await askHelper(helper, target.registry, env, options)
  const entries = fitting(Object.entries(auths), target).map(([key, entry]) => ({ key, login: loginIn(entry) }))
  const unreadable = entries.flatMap(({ key, login }) =>
    login === 'unreadable' ? [`${file}: auths ${key}: its auth is not base64 of username:password`] : [],
  )
  return {
    logins: [...stored.logins, ...entries.flatMap(({ login }) => (typeof login === 'object' ? [login] : []))],
    problems: [...stored.problems, ...unreadable],
  }
}

/** docker leaves an empty entry where a store has the login. */
function loginIn({ auth, username, password, identitytoken, registrytoken }: Entry): Login | 'none' | 'unreadable' {
  if (registrytoken !== '') return { kind: 'registry-token', token: registrytoken }
  if (identitytoken !== '') return { kind: 'identity-token', token: identitytoken }
  if (username !== '') return { kind: 'basic', username, password }
  return auth === '' ? 'none' : (basicIn(auth) ?? 'unreadable')
}

/** What is wrong with a file, behind its name; never a part of its text. */
class AuthFileError extends Error {}

function parseAuthFile(json: string): AuthFile {
  const document = jsonOf(json)
  const config = configSchema.safeParse(document)
  const isConfig = ['auths', 'credHelpers', 'credsStore'].some((key) => isRecord(document) && key in document)
  if (isConfig && config.success) {
    const { auths, credHelpers, credsStore } = config.data
    return { auths: auths ?? {}, credHelpers: credHelpers ?? {}, credsStore: credsStore ?? '' }
  }
  if (isConfig)
    throw new AuthFileError(`: ${config.error?.issues[0]?.path.join('.')}: it is not of the shape of a docker config.json`)
  // .dockercfg: the entries alone. Settings of docker's that stand among them are none.
  const legacy = legacySchema.safeParse(document)
  if (!legacy.success) throw new AuthFileError(': want a JSON object such as {"auths": {}}')
  const entries = Object.entries(legacy.data).flatMap(([key, value]) => {
    const entry = entrySchema.safeParse(value)
    return entry.success ? [[key, entry.data] as const] : []
  })
  return { auths: Object.fromEntries(entries), credHelpers: {}, credsStore: '' }
}

const isRecord = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value)

function jsonOf(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    throw new AuthFileError(`:${lineOfMistake(json)}: it is not JSON`)
  }
}
