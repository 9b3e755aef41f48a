/** Where a person's logins are, as podman looks for them (containers-auth.json(5)). */
import { join } from 'node:path'
import { authFileSource } from './auth-file.ts'
import type { Source } from './credentials.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * A file that is named, by `--authfile` or REGISTRY_AUTH_FILE, is the only one; else the places of podman, then those of docker. `uid` is
 * the caller's.
 */
export function usualSources(named: string | undefined, env: Environment, uid: number): readonly Source[] {
  const only = named ?? env.REGISTRY_AUTH_FILE
  if (only) return [authFileSource(only, { env, mustExist: true })]
  const runtimeDir = env.XDG_RUNTIME_DIR || (uid === 0 ? '/run' : `/run/user/${uid}`)
  const containers = join(runtimeDir, 'containers', ...(uid === 0 && !env.XDG_RUNTIME_DIR ? ['0'] : []), 'auth.json')
  const home = env.HOME ? [join(env.XDG_CONFIG_HOME || join(env.HOME, '.config'), 'containers', 'auth.json')] : []
  const docker = env.DOCKER_CONFIG
    ? [join(env.DOCKER_CONFIG, 'config.json')]
    : env.HOME
      ? [join(env.HOME, '.docker', 'config.json')]
      : []
  const legacy = env.HOME ? [join(env.HOME, '.dockercfg')] : []
  return [containers, ...home, ...docker, ...legacy].map((file) => authFileSource(file, { env, mustExist: false }))
}
