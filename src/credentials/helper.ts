/** docker-credential-NAME, docker's protocol for stores of logins (docker-credential-helpers, "Development"). */
import { z } from 'zod'
import { jsonOrUndefined } from '../oci/json.ts'
import { isDockerHub } from '../reference/registry-name.ts'
import type { Candidates } from '../registry/registry.ts'
import type { Abortable } from '../task/task.ts'
import { nobody } from './credentials.ts'
import { run } from './run.ts'

const TIMEOUT_MS = 30_000
/** What docker calls Docker Hub to its helpers. */
const HUB_URL = 'https://index.docker.io/v1/'
/** What helpers say where they have none; with it they exit as if they had failed. */
const NONE = 'credentials not found in native keychain'

const answerSchema = z.object({ Username: z.string(), Secret: z.string().min(1) })

/** Asks the helper `name` for a registry. Throws cancelled. */
export async function askHelper(
  name: string,
  registry: string,
  env: Readonly<Record<string, string>>,
  options: Abortable & { readonly timeoutMs?: number },
): Promise<Candidates> {
  const program = `docker-credential-${name}`
  const problem = (reason: string): Candidates => ({ logins: [], problems: [`${program}: ${reason}`] })
  if (!/^[\w.-]+$/.test(name)) return problem('that is no name of a credential helper')
  const input = isDockerHub(registry) ? HUB_URL : registry
  const { timeoutMs = TIMEOUT_MS } = options
  const answer = await run({ program, args: ['get'], input: `${input}\n`, env, timeoutMs }, options)
  if (answer.kind === 'failed') return problem(answer.reason)
  if (answer.code !== 0)
    return answer.output.trim().startsWith(NONE)
      ? nobody
      : problem(`it failed (exit ${answer.code}): echo ${input} | ${program} get`)
  const said = answerSchema.safeParse(jsonOrUndefined(answer.output))
  if (!said.success) return problem('it answered something else than a login')
  const { Username: username, Secret: secret } = said.data
  const login =
    username === '<token>'
      ? { kind: 'identity-token' as const, token: secret }
      : { kind: 'basic' as const, username, password: secret }
  return { logins: [login], problems: [] }
}
