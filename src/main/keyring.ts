/** The logins of this node, for pulls that bring none and for mirrors: the runtime's own, then our configuration's, in its order. */
import type { Config } from '../config/config.ts'
import { authFileSource } from '../credentials/auth-file.ts'
import { createKeyring, fixedSource, type Login, type Source } from '../credentials/credentials.ts'
import { PluginSource } from '../credentials/plugin.ts'
import { basicIn } from '../registry/credentials.ts'
import type { Keyring } from '../registry/registry.ts'
import type { ContainerdLogin, ContainerdRegistries } from '../runtime/runtime.ts'
import type { Logger } from './log.ts'

export function keyringFor(
  { authFiles, credentialProvider }: Pick<Config['registry'], 'authFiles' | 'credentialProvider'>,
  containerd: ContainerdRegistries | undefined,
  log: Logger,
): Keyring | undefined {
  const { env } = process
  const sources: readonly Source[] = [
    ...(containerd === undefined ? [] : containerdSources(containerd, log)),
    ...authFiles.map((file) => authFileSource(file, { env, mustExist: true })),
    ...(credentialProvider === undefined ? [] : [new PluginSource({ ...credentialProvider, env })]),
  ]
  if (sources.length === 0) return undefined
  return createKeyring(sources, (problem) => log.warn(problem, 'a login could not be looked for'))
}

function containerdSources({ file, logins }: ContainerdRegistries, log: Logger): readonly Source[] {
  const read = Object.entries(logins).map(([host, login]) => [host, loginIn(login)] as const)
  for (const [host, login] of read)
    if (login === undefined)
      log.warn({ file, host }, 'this login in containerd’s configuration is none: it has neither a name nor a token')
  return [fixedSource(Object.fromEntries(read.flatMap(([host, login]) => (login === undefined ? [] : [[host, login] as const]))))]
}

/** In containerd's order. */
function loginIn({ username, password, auth, identityToken }: ContainerdLogin): Login | undefined {
  if (username !== '') return { kind: 'basic', username, password }
  if (identityToken !== '') return { kind: 'identity-token', token: identityToken }
  return basicIn(auth)
}
