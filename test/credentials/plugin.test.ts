/** kubelet's credential provider plugins, as programs. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { PluginSource } from '../../src/credentials/plugin.ts'
import { type Place, place } from './places.ts'

const signal = () => AbortSignal.timeout(20_000)
const V1 = 'credentialprovider.kubelet.k8s.io/v1'

const config = (at: Place, provider: object, name = 'config.yaml') =>
  at.file(name, {
    apiVersion: 'kubelet.config.k8s.io/v1',
    kind: 'CredentialProviderConfig',
    providers: [{ name: 'cloud', matchImages: ['*.r.example'], defaultCacheDuration: '12h', apiVersion: V1, ...provider }],
  })
const response = (more: object) =>
  `echo '${JSON.stringify({ apiVersion: V1, kind: 'CredentialProviderResponse', cacheKeyType: 'Registry', auth: { '*.r.example': { username: 'u', password: 'p' } }, ...more })}'`
const sourceOf = (at: Place, configPath = `${at.path}/config.yaml`, timeoutMs = 10_000) =>
  new PluginSource({ configPath, binDir: at.path, env: { PATH: '/usr/bin:/bin', OURS: 'canary' }, timeoutMs })
const ask = (source: PluginSource, name: string) => {
  const [registry = '', ...path] = name.split('/')
  return source.candidates({ registry, repository: path.join('/') }, { signal: signal() })
}

const login = { kind: 'basic', username: 'u', password: 'p' }

describe('a credential provider plugin', () => {
  it('is asked for images it is for, as kubelet asks, with the arguments and variables of its configuration alone', async () => {
    using at = place()
    config(at, { args: ['get', 'it'], env: [{ name: 'REGION', value: 'x' }] })
    at.program('cloud', `env > ${at.path}/env\n${response({})}`)
    const source = sourceOf(at)
    expect(await ask(source, 'a.r.example/team/app')).toEqual({ logins: [login], problems: [] })
    expect(await ask(source, 'other.example/x')).toEqual({ logins: [], problems: [] })
    expect(at.calls('cloud')).toEqual([
      `get it|${JSON.stringify({ apiVersion: V1, kind: 'CredentialProviderRequest', image: 'a.r.example/team/app' })}`,
    ])
    expect(readFileSync(`${at.path}/env`, 'utf8')).toContain('REGION=x')
    expect(readFileSync(`${at.path}/env`, 'utf8')).not.toContain('canary')
  })

  it.each([
    ['Image', 3],
    ['Registry', 2],
    ['Global', 1],
  ])(
    'whose answer is for the %s is asked %d times for two images of one registry and one of another',
    async (cacheKeyType, times) => {
      using at = place()
      config(at, {})
      at.program('cloud', response({ cacheKeyType }))
      const source = sourceOf(at)
      for (const name of ['a.r.example/one', 'a.r.example/two', 'b.r.example/one', 'a.r.example/one', 'b.r.example/one'])
        expect((await ask(source, name)).logins).toEqual([login])
      expect(at.calls('cloud')).toHaveLength(times)
    },
  )

  it('is asked again once its time is over: its answer’s own, else its configuration’s', async () => {
    using at = place()
    config(at, { defaultCacheDuration: '12h' })
    at.program('cloud', response({ cacheDuration: '0s' }))
    const source = sourceOf(at)
    await ask(source, 'a.r.example/x')
    await ask(source, 'a.r.example/x')
    expect(at.calls('cloud')).toHaveLength(2)
    config(at, { defaultCacheDuration: '200ms' })
    at.program('cloud', response({}))
    await ask(source, 'a.r.example/x')
    await ask(source, 'a.r.example/x')
    expect(at.calls('cloud')).toHaveLength(3)
    const callsAfterAnother = async () => {
      await ask(source, 'a.r.example/x')
      return at.calls('cloud').length
    }
    await expect.poll(callsAfterAnother, { timeout: 10_000 }).toBe(4)
  })

  it('runs once, however many pulls want it at the same time', async () => {
    using at = place()
    config(at, { defaultCacheDuration: '0s' })
    at.program('cloud', `sleep 0.3\n${response({})}`)
    const source = sourceOf(at)
    const all = await Promise.all(Array.from({ length: 10 }, () => ask(source, 'a.r.example/x')))
    expect(all.map(({ logins }) => logins)).toEqual(all.map(() => [login]))
    expect(at.calls('cloud')).toHaveLength(1)
  })

  it('runs on for the others where the one who asked first leaves, and once for all that its answer is for', async () => {
    using at = place()
    config(at, { defaultCacheDuration: '1h' })
    const go = `${at.path}/go`
    at.program('cloud', `while [ ! -e ${go} ]; do sleep 0.05; done\n${response({})}`)
    const source = sourceOf(at)
    const leaving = new AbortController()
    const first = source.candidates({ registry: 'a.r.example', repository: 'x' }, { signal: leaving.signal })
    const others = Array.from({ length: 10 }, (_, at) => ask(source, `a.r.example/${at < 5 ? 'x' : `y${at}`}`))
    await expect.poll(() => at.calls('cloud').length).toBe(1)
    leaving.abort()
    await expect(first).rejects.toMatchObject({ failure: { kind: 'cancelled' } })
    at.file('go', '')
    expect((await Promise.all(others)).map(({ logins }) => logins)).toEqual(others.map(() => [login]))
    expect(at.calls('cloud')).toHaveLength(1)
  })

  it('whose answer is for one image, or is a problem, is asked for each of several at once', async () => {
    using at = place()
    config(at, { defaultCacheDuration: '1h' })
    at.program('cloud', `case "$input" in *bad*) exit 1;; esac\nsleep 0.3\n${response({ cacheKeyType: 'Image' })}`)
    const source = sourceOf(at)
    const all = await Promise.all(['bad', 'x', 'y', 'x'].map((name) => ask(source, `a.r.example/${name}`)))
    expect(all.map(({ logins, problems }) => [logins.length, problems.length])).toEqual([
      [0, 1],
      [1, 0],
      [1, 0],
      [1, 0],
    ])
    expect(at.calls('cloud')).toHaveLength(3)
  })

  it('may stand in one of several files of a directory', async () => {
    using at = place()
    config(at, { name: 'cloud' }, 'conf/10.json')
    config(at, { name: 'other', matchImages: ['a.r.example'] }, 'conf/20.yml')
    at.file('conf/README', 'no configuration')
    at.program('cloud', response({}))
    at.program('other', response({ auth: { 'a.r.example': { username: 'v', password: 'q' } } }))
    expect((await ask(sourceOf(at, `${at.path}/conf`), 'a.r.example/x')).logins).toEqual([
      login,
      { ...login, username: 'v', password: 'q' },
    ])
  })

  it.each([
    ['exit 1', 'it failed (exit 1)'],
    ['echo canary', 'it answered something else than a CredentialProviderResponse'],
    [
      response({ apiVersion: 'credentialprovider.kubelet.k8s.io/v1beta1' }),
      `it answered in credentialprovider.kubelet.k8s.io/v1beta1, and was asked in ${V1}`,
    ],
    ['sleep 60', 'it did not answer within 0.5 s'],
  ])('that fails is a problem, and what it said stays untold: %#', async (script, problem) => {
    using at = place()
    config(at, {})
    at.program('cloud', script)
    const source = sourceOf(at, undefined, script === 'sleep 60' ? 500 : 10_000)
    expect(await ask(source, 'a.r.example/x')).toEqual({ logins: [], problems: [`credential provider cloud: ${problem}`] })
  })

  it('that wants a pod’s token, or is not there, is a problem', async () => {
    using at = place()
    config(at, {})
    expect((await ask(sourceOf(at), 'a.r.example/x')).problems).toEqual(['credential provider cloud: there is no such program'])
    config(at, { tokenAttributes: { serviceAccountTokenAudience: 'x' } })
    at.program('cloud', response({}))
    expect(await ask(sourceOf(at), 'a.r.example/x')).toEqual({
      logins: [],
      problems: ['credential provider cloud: it wants the token of a pod’s service account, which only kubelet has'],
    })
    expect(at.calls('cloud')).toEqual([])
  })

  it.each([
    ['apiVersion: [', 1],
    ['apiVersion: kubelet.config.k8s.io/v1\nkind: Other\nproviders: []\n', 2],
    [
      'apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: ../sh\n  matchImages: [x]\n  defaultCacheDuration: 1h\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n',
      4,
    ],
  ])('whose configuration is wrong is a problem with file and line: %#', async (text, line) => {
    using at = place()
    at.file('config.yaml', text)
    const { logins, problems } = await ask(sourceOf(at), 'a.r.example/x')
    expect(logins).toEqual([])
    expect(problems[0]).toMatch(new RegExp(`^${at.path}/config.yaml:${line}: `))
  })
})
