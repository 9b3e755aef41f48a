/**
 * The logins a node, or a person, has: files of docker, podman and Kubernetes, the helpers they name, kubelet's plugins, and what a
 * runtime's own configuration says. A `Source` is one of these places; a keyring asks them in their order.
 *
 *     auth-file.ts   config.json, auth.json, .dockerconfigjson, .dockercfg;  helper.ts  docker-credential-NAME
 *     plugin.ts      kubelet's exec plugins;                                 plugin-config.ts  their configuration
 *     matching.ts    which key of any of them is for a repository
 *     run.ts         a program, with bounds
 *     usual.ts       where a person's files are
 *
 * What is wrong in one place is told beside what the others have: most images need no login, and who is refused is told both.
 */
import { registryName } from '../reference/registry-name.ts'
import type { Candidates, Credentials, Keyring, LoginTarget } from '../registry/registry.ts'
import type { Abortable } from '../task/task.ts'

export type Login = Candidates['logins'][number]

export interface Source {
  /** The likelier first. Throws cancelled alone. */
  candidates(target: LoginTarget, options: Abortable): Promise<Candidates>
}

export const nobody: Candidates = { logins: [], problems: [] }

/** Beyond these a registry would rather lock us out than let us in. */
const MAX_LOGINS = 8

export type KeyringEvent = { readonly registry: string; readonly problem: string }

/** Asks all sources; `onProblem` hears what could not be asked. */
export function createKeyring(sources: readonly Source[], onProblem: (event: KeyringEvent) => void = () => {}): Keyring {
  return {
    candidates: async (target, options) => {
      const found = await Promise.all(sources.map((source) => source.candidates(target, options)))
      const problems = found.flatMap((each) => each.problems)
      for (const problem of problems) onProblem({ registry: target.registry, problem })
      return { logins: distinct(found.flatMap(({ logins }) => logins)).slice(0, MAX_LOGINS), problems }
    },
  }
}

function distinct(logins: readonly Login[]): readonly Login[] {
  const textOf = (login: Credentials): string => JSON.stringify(Object.entries(login).sort())
  return [...new Map(logins.toReversed().map((login) => [textOf(login), login])).values()].toReversed()
}

/** Logins that stand in a configuration, by host. */
export function fixedSource(logins: Readonly<Record<string, Login>>): Source {
  const byHost = new Map(Object.entries(logins).map(([host, login]) => [registryName(host), login]))
  return {
    candidates: async ({ registry }) => {
      const login = byHost.get(registryName(registry))
      return login === undefined ? nobody : { logins: [login], problems: [] }
    },
  }
}
