/** What `windlass check` looks at lists with: the registries as this configuration describes them, and the logins that were named. */
import { join } from 'node:path'
import type { CheckAsk, Checker } from '../cli/deps.ts'
import type { Config } from '../config/config.ts'
import { authFileSource } from '../credentials/auth-file.ts'
import { createKeyring, type Source } from '../credentials/credentials.ts'
import { PluginSource } from '../credentials/plugin.ts'
import { usualSources } from '../credentials/usual.ts'
import { fail } from '../failure/failure.ts'
import { checkLists } from '../prepull/check.ts'
import type { Means } from '../prepull/prepull.ts'
import { createRegistry } from '../registry/client.ts'
import { placesFor } from '../registry/places.ts'
import { keyringFor } from './keyring.ts'
import { createLogger } from './log.ts'
import { proxiesFor } from './node.ts'
import { archivesIn } from './prepull.ts'

/** `onProblem` hears why a login could not be looked for. */
export function openChecker(
  { registry: settings, prepull }: Config,
  version: string,
  { secretsDir = prepull?.secretsDir, archiveDir = prepull?.archiveDir, spoolDir, ...ask }: CheckAsk,
  onProblem: (problem: string) => void,
): Checker {
  const keyring = keyringFor(settings, undefined, createLogger({ format: 'text', level: 'error' }))
  const registry = createRegistry({
    ...placesFor(settings, undefined),
    ...(keyring === undefined ? {} : { keyring }),
    proxyFor: proxiesFor(settings),
    progressTimeoutMs: settings.progressTimeoutMs,
    transfers: settings.transfers,
    userAgent: `windlass/${version}`,
  })
  const { env } = process
  const plugins = prepull?.credentialProvider
  const others: readonly Source[] = [
    ...(plugins === undefined ? [] : [new PluginSource({ ...plugins, env })]),
    ...usualSources(ask.authFile, env, process.getuid?.() ?? 0),
  ]
  const loginsFor: Means['loginsFor'] = async ({ name, secrets }, { reference: { registry, repository } }, options) => {
    if (secrets.length > 0 && secretsDir === undefined)
      onProblem(
        `list ${name} names pull secrets, ${secrets.join(', ')}, which are not tried; say where they are with --secrets-dir`,
      )
    const files = secretsDir === undefined ? [] : secrets.map((secret) => join(secretsDir, secret, '.dockerconfigjson'))
    const sources = [...files.map((file) => authFileSource(file, { env, mustExist: true, isPullSecret: true })), ...others]
    const { logins, problems } = await createKeyring(sources).candidates({ registry, repository }, options)
    for (const problem of problems) onProblem(`list ${name}: ${problem}`)
    return logins
  }
  const openArchive = archiveDir === undefined ? noArchives : archivesIn(archiveDir, spoolDir)
  return {
    check: (lists, platforms, options) => checkLists(lists, { registry, means: { loginsFor, openArchive }, platforms }, options),
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  }
}

const noArchives: Means['openArchive'] = async (name) =>
  fail({
    kind: 'invalid-argument',
    what: `archive ${JSON.stringify(name)}`,
    reason: 'nothing says where archives are; give --archive-dir, or prepull.archiveDir in the configuration',
  })
