/**
 * Files with logins: docker's config.json, podman's auth.json (containers-auth.json(5)), and Kubernetes' pull secrets as files,
 * .dockerconfigjson and .dockercfg. A helper that is named for a registry is asked before the file's own entries, as docker does.
 */
import { z } from 'zod'
import { describe, failureOf } from '../failure/failure.ts'
import { readSmall } from '../registry/bounded.ts'
import { basicIn, isToken } from '../registry/credentials.ts'
import type { Candidates, LoginTarget } from '../registry/registry.ts'
import type { Abortable } from '../task/task.ts'
import { type Login, nobody, type Source } from './credentials.ts'
import { askHelper } from './helper.ts'
import { lineOfMistake } from './json-line.ts'
import { fitting } from './matching.ts'
import { passedOn } from './run.ts'

const text = z.string().nullish()
const entrySchema = z.object({ auth: text, username: text, password: text, identitytoken: text, registrytoken: text })

/** What stands under one key is looked at where it is for somebody: one that is wrong takes nothing from the others. */
const table = z.record(z.string(), z.unknown()).nullish()
const configSchema = z.object({ auths: table, credHelpers: table, credsStore: z.string().nullish() })
const legacySchema = z.record(z.string(), z.unknown())

type Table = Readonly<Record<string, unknown>>
type AuthFile = { readonly auths: Table; readonly credHelpers: Table; readonly credsStore: string }

export type AuthFileOptions = {
  readonly env: Readonly<Record<string, string | undefined>>
  /** A file that is not there is a problem; else it has no logins. */
  readonly mustExist: boolean
  /** A pull secret comes out of a cluster, whose users are not to say which of this node's programs root runs: kubelet runs none for it either. */
  readonly isPullSecret?: boolean
}

/** Read anew each time it is asked. */
export function authFileSource(file: string, { env, mustExist, isPullSecret = false }: AuthFileOptions): Source {
  return {
    candidates: async (target, options) => {
      try {
        const json = readSmall(file)
        if (json !== undefined)
          return await candidatesIn(parseAuthFile(json), file, target, isPullSecret ? undefined : passedOn(env), options)
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

/** Without an environment no helper runs. */
async function candidatesIn(
  content: AuthFile,
  file: string,
  target: LoginTarget,
  env: Readonly<Record<string, string>> | undefined,
  options: Abortable,
): Promise<Candidates> {
  const helper = env === undefined ? refusedHelper(target, content) : helperFor(target, content)
  const ask = async (name: string): Promise<Candidates> =>
    name === '' || env === undefined ? nobody : await askHelper(name, target.registry, env, options)
  const stored = 'problem' in helper ? { logins: [], problems: [`${file}: ${helper.problem}`] } : await ask(helper.name)
  const entries = fitting(Object.entries(content.auths), target).map(([key, entry]) => ({ key, found: loginIn(entry) }))
  const problems = entries.flatMap(({ key, found }) => ('problem' in found ? [`${file}: auths ${key}: ${found.problem}`] : []))
  return {
    logins: [...stored.logins, ...entries.flatMap(({ found }) => ('login' in found ? [found.login] : []))],
    problems: [...stored.problems, ...problems],
  }
}

/** The one that is named for the registry, else the store of all; an empty name is none. */
function helperFor(
  target: LoginTarget,
  { credHelpers, credsStore }: AuthFile,
): { readonly name: string } | { readonly problem: string } {
  const [[key, name] = ['', credsStore]] = fitting(Object.entries(credHelpers), target)
  if (name === null) return { name: '' }
  return typeof name === 'string' ? { name } : { problem: `credHelpers ${key}: it is not a string` }
}

function refusedHelper(target: LoginTarget, content: AuthFile): ReturnType<typeof helperFor> {
  const helper = helperFor(target, content)
  if ('problem' in helper || helper.name === '') return helper
  return {
    problem: `it names the credential helper ${helper.name}, which no pull secret may have run; put the login itself into it`,
  }
}

type Found = { readonly login: Login } | { readonly problem: string } | Record<string, never>

/** docker leaves an empty entry where a store has the login. */
function loginIn(entry: unknown): Found {
  if (entry === null) return {}
  const read = entrySchema.safeParse(entry)
  if (!read.success) {
    const [field] = read.error.issues[0]?.path ?? []
    return { problem: field === undefined ? 'it is not an object' : `its ${String(field)} is not a string` }
  }
  const { auth, username, password, identitytoken, registrytoken } = read.data
  if (registrytoken)
    return isToken(registrytoken)
      ? { login: { kind: 'registry-token', token: registrytoken } }
      : { problem: 'its registrytoken holds other than printable ASCII characters' }
  if (identitytoken) return { login: { kind: 'identity-token', token: identitytoken } }
  if (username) return { login: { kind: 'basic', username, password: password ?? '' } }
  if (!auth) return {}
  const login = basicIn(auth)
  return login === undefined ? { problem: 'its auth is not base64 of username:password' } : { login }
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
  return { auths: legacy.data, credHelpers: {}, credsStore: '' }
}

const isRecord = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value)

function jsonOf(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    throw new AuthFileError(`:${lineOfMistake(json)}: it is not JSON`)
  }
}
