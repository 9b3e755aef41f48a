/** docs/registries.md: its examples are read by the program, its lists are the program's, its limits too. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { authFileSource } from '../../src/credentials/auth-file.ts'
import { readProviders } from '../../src/credentials/plugin-config.ts'
import { passedOn } from '../../src/credentials/run.ts'
import { usualSources } from '../../src/credentials/usual.ts'
import { parseHostsToml } from '../../src/registry/hosts-toml.ts'
import { readRegistriesConf } from '../../src/registry/registries-conf.ts'
import { place } from '../credentials/places.ts'

const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'registries.md'), 'utf8')
const example = (language: string, about: RegExp): string =>
  [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].find(
    ([, fence, text = '']) => fence === language && about.test(text),
  )?.[2] ?? ''
const signal = () => AbortSignal.timeout(5_000)

describe('the examples', () => {
  it('of hosts.toml shows every field, and is one', () => {
    const { server, hosts } = parseHostsToml(example('toml', /hosts\.toml/), 'hosts.toml')
    expect(server).toBe('https://registry-1.docker.io')
    expect(hosts[0]?.fields).toMatchObject({
      capabilities: ['pull', 'resolve'],
      ca: ['mirror.pem'],
      client: [{ cert: 'client.pem', key: 'client.key' }],
      headers: { 'x-site': ['north'] },
      dialTimeoutMs: 10_000,
    })
  })

  it('of registries.conf is one', async () => {
    using at = place()
    const entries = await readRegistriesConf(at.file('registries.conf', example('toml', /registries\.conf/)))
    expect(entries.map(({ prefix, blocked }) => [prefix, blocked])).toEqual([
      ['docker.io/library', false],
      ['*.internal.example', true],
    ])
    expect(entries[0]?.mirrors).toEqual([{ location: 'mirror.example:5000/hub', insecure: true, pulls: 'digest-only' }])
  })

  it('of an auth file has the logins it seems to have', async () => {
    using at = place()
    const file = at.file('config.json', example('json', /auths/).replace('"credsStore": "pass"', '"credsStore": ""'))
    const source = authFileSource(file, { env: {}, mustExist: true })
    const kinds = async (registry: string, repository: string) =>
      (await source.candidates({ registry, repository }, { signal: signal() })).logins.map(({ kind }) => kind)
    expect(await kinds('docker.io', 'library/debian')).toEqual(['basic'])
    expect(await kinds('registry.example:5000', 'team/app')).toEqual(['basic'])
    expect(await kinds('registry.example:5000', 'other/app')).toEqual([])
    expect(await kinds('a.registry.example', 'x')).toEqual(['identity-token'])
  })

  it('of our own configuration is one', () => {
    using at = place()
    const file = at.file('windlass.yaml', example('yaml', /WindlassConfiguration/))
    const { registry, warnings } = loadConfig({ file, flags: {}, env: {} })
    expect(registry.authFiles).toEqual(['/etc/windlass/regcred/.dockerconfigjson', '/var/lib/kubelet/config.json'])
    expect(Object.keys(registry)).toEqual(expect.arrayContaining(['httpsProxy', 'noProxy', 'credentialProvider']))
    expect(warnings).toEqual([])
  })

  it('of kubelet’s plugins is their configuration', async () => {
    using at = place()
    const file = at.file('providers.yaml', example('yaml', /CredentialProviderConfig/))
    expect(await readProviders(file)).toMatchObject([{ name: 'ecr-credential-provider', defaultCacheDuration: 43_200_000 }])
  })
})

it('the variables that a helper gets are those that are listed', () => {
  const listed = /Of the environment a helper[^.]*\./.exec(page)?.[0] ?? ''
  const names = [...listed.matchAll(/`([A-Za-z_]+)`/g)].map(([, name = '']) => (name.endsWith('_') ? `${name}X` : name))
  expect(names.length).toBeGreaterThan(20)
  const env = Object.fromEntries(names.map((name) => [name, 'x']))
  expect(
    passedOn({ ...env, LD_PRELOAD: 'x', WINDLASS_ROOT: 'x', HTTP_PROXY: 'http://p:1', https_proxy: 'http://u:p@p:1' }),
  ).toEqual({
    ...env,
    HTTP_PROXY: 'http://p:1',
  })
})

it('a person’s files are those that are listed, in that order', async () => {
  using at = place()
  // A directory where a file should be is told by its name.
  const told = async (env: Record<string, string>, uid: number) => {
    const found = await Promise.all(
      usualSources(undefined, env, uid).map((source) =>
        source.candidates({ registry: 'r', repository: 'x' }, { signal: signal() }),
      ),
    )
    return found.flatMap(({ problems }) => problems.map((problem) => problem.replace(/: it is a directory.*/, '')))
  }
  const files = [...page.matchAll(/`(?:~|\$XDG_RUNTIME_DIR)\/([^`]+)`/g)].map(([, path = '']) => join(at.path, path))
  expect(files).toHaveLength(4)
  for (const file of files) mkdirSync(file, { recursive: true })
  expect(await told({ HOME: at.path, XDG_RUNTIME_DIR: at.path }, 1000)).toEqual(files)
})
