/** Files with logins, and the helpers they name. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import { authFileSource } from '../../src/credentials/auth-file.ts'
import { askHelper } from '../../src/credentials/helper.ts'
import { fitting } from '../../src/credentials/matching.ts'
import { usualSources } from '../../src/credentials/usual.ts'
import { b64, type Place, place } from './places.ts'

const signal = () => AbortSignal.timeout(20_000)
const environment = (at: Place) => ({ PATH: `${at.path}:/usr/bin:/bin`, HOME: at.path, SECRET_OF_OURS: 'canary' })
const parse = (name: string) => {
  const [registry = '', ...path] = name.split('/')
  return { registry, repository: path.join('/') }
}
const ask = (at: Place, file: string, name: string) =>
  authFileSource(file, { env: environment(at), mustExist: true }).candidates(parse(name), { signal: signal() })
const users = async (at: Place, file: string, name: string) =>
  (await ask(at, file, name)).logins.map((login) =>
    login.kind === 'basic' ? `${login.username}:${login.password}` : `${login.kind} ${login.token}`,
  )

describe('a key fits', () => {
  it.each([
    ['r.example/team/app', ['r.example'], ['r.example']],
    [
      'r.example/team/app',
      ['r.example:5000', 'http://r.example', 'https://r.example/v2/', 'R.Example'],
      ['http://r.example', 'https://r.example/v2/', 'R.Example'],
    ],
    ['r.example:5000/team/app', ['r.example', 'r.example:5000'], ['r.example:5000']],
    [
      'r.example/team/app',
      ['r.example', 'r.example/team', 'r.example/team/app', 'r.example/te', 'r.example/team/app/x'],
      ['r.example/team/app', 'r.example/team', 'r.example'],
    ],
    [
      'docker.io/library/debian',
      ['https://index.docker.io/v1/', 'docker.io', 'registry-1.docker.io', 'index.docker.io/library'],
      ['index.docker.io/library', 'https://index.docker.io/v1/', 'docker.io', 'registry-1.docker.io'],
    ],
    [
      'a.r.example/x',
      ['*.r.example', 'a.r.example', '*.*.example', '*.example', '*'],
      ['a.r.example', '*.r.example', '*.*.example'],
    ],
    [
      '123.dkr.ecr.eu-1.amazonaws.com/x',
      ['*.dkr.ecr.*.amazonaws.com', '*.dkr.ecr.us-*.amazonaws.com', '12*.dkr.ecr.eu-*.amazonaws.com'],
      ['*.dkr.ecr.*.amazonaws.com', '12*.dkr.ecr.eu-*.amazonaws.com'],
    ],
    ['r.example.evil/x', ['r.example', '*.example'], []],
    ['[::1]:5000/x', ['[::1]:5000', '[::1]'], ['[::1]:5000']],
  ])('%s by %j', (name, keys, expected) => {
    expect(
      fitting(
        keys.map((key) => [key, true] as const),
        parse(name),
      ).map(([key]) => key),
    ).toEqual(expected)
  })

  it('in time that grows with a key, and not with its square', () => {
    expect(fitting([[`r.example${'/'.repeat(150_000)}x`, true]], parse('r.example/x'))).toEqual([])
  }, 3_000)
})

describe('an auth file', () => {
  it('has logins in every form, the most specific first', async () => {
    using at = place()
    const file = at.file('config.json', {
      auths: {
        'r.example': { auth: b64('host:p:with:colons') },
        'r.example/team': { username: 'team', password: 'q' },
        'r.example/team/app': { identitytoken: 'refresh', username: 'ignored' },
        'https://index.docker.io/v1/': { auth: b64('hub:h') },
        't.example': { registrytoken: 'bearer' },
        'empty.example': {},
      },
      HttpHeaders: { 'User-Agent': 'x' },
    })
    expect(await users(at, file, 'r.example/team/app')).toEqual(['identity-token refresh', 'team:q', 'host:p:with:colons'])
    expect(await users(at, file, 'docker.io/library/debian')).toEqual(['hub:h'])
    expect(await users(at, file, 't.example/x')).toEqual(['registry-token bearer'])
    expect(await ask(at, file, 'empty.example/x')).toEqual({ logins: [], problems: [] })
    expect(await users(at, file, 'other.example/x')).toEqual([])
  })

  it('keeps its other logins where one is wrong, and takes null for nothing', async () => {
    using at = place()
    const file = at.file('config.json', {
      auths: {
        'bad.example': { auth: 5 },
        'r.example/team': null,
        'r.example': { auth: b64('u:p'), identitytoken: null, email: 1 },
        'r.example/other': { username: [] },
      },
      credHelpers: { 'bad.example': {} },
    })
    expect(await ask(at, file, 'r.example/team/x')).toEqual({
      logins: [{ kind: 'basic', username: 'u', password: 'p' }],
      problems: [],
    })
    expect(await ask(at, file, 'r.example/other')).toEqual({
      logins: [{ kind: 'basic', username: 'u', password: 'p' }],
      problems: [`${file}: auths r.example/other: its username is not a string`],
    })
  })

  it('may be a .dockercfg, and is read anew each time', async () => {
    using at = place()
    const file = at.file('.dockercfg', { 'r.example': { auth: b64('old:o'), email: 'x@y' } })
    expect(await users(at, file, 'r.example/x')).toEqual(['old:o'])
    at.file('.dockercfg', { 'r.example': { username: 'new', password: 'n' } })
    expect(await users(at, file, 'r.example/x')).toEqual(['new:n'])
    at.file('.dockercfg', { detachKeys: 'ctrl-q' })
    expect(await ask(at, file, 'r.example/x')).toEqual({ logins: [], problems: [] })
  })

  it.each([
    ['{"auths": {\n"r.example": {"auth": canary}}}', ':2: it is not JSON'],
    ['{"auths": {"r.example": {"username": 7}}}', ': auths r.example: its username is not a string'],
    ['{\n "auths": {\n  "r.example": {"auth": "canary"}\n  "s.example": {}\n }\n}\n', ':4: it is not JSON'],
    ['{"a": [1, 2.5e3, null],\n\n"canary": "\t"}', ':3: it is not JSON'],
    ['{"auths": {}}\n}', ':2: it is not JSON'],
    ['', ':1: it is not JSON'],
    ['[]', ': want a JSON object such as {"auths": {}}'],
    [
      JSON.stringify({ auths: { 'r.example': { auth: 'canary!' } } }),
      ': auths r.example: its auth is not base64 of username:password',
    ],
    ['{"auths": {"r.example": "canary"}}', ': auths r.example: it is not an object'],
    [
      '{"auths": {"r.example": {"registrytoken": "canary\\nb"}}}',
      ': auths r.example: its registrytoken holds other than printable ASCII characters',
    ],
    ['{"credHelpers": {"r.example": 5}}', ': credHelpers r.example: it is not a string'],
    ['{"auths": ["canary"]}', ': auths: it is not of the shape of a docker config.json'],
    ['#'.repeat(2 ** 20 + 1), ': it is larger than 1048576 bytes'],
  ])('that is wrong is a problem with its place, and none of its text: %#', async (text, problem) => {
    using at = place()
    const file = at.file('auth.json', text)
    expect(await ask(at, file, 'r.example/x')).toEqual({ logins: [], problems: [`${file}${problem}`] })
  })

  it('that is not there is a problem where it is named, and nothing where it is only usual', async () => {
    using at = place()
    const source = (mustExist: boolean) => authFileSource(`${at.path}/gone`, { env: {}, mustExist })
    const asked = (mustExist: boolean) => source(mustExist).candidates(parse('r.example/x'), { signal: signal() })
    expect(await asked(true)).toEqual({ logins: [], problems: [`${at.path}/gone: there is no such file`] })
    expect(await asked(false)).toEqual({ logins: [], problems: [] })
  })
})

describe('a credential helper', () => {
  const answer = (username: string, secret: string) =>
    `echo '${JSON.stringify({ ServerURL: 'x', Username: username, Secret: secret })}'`

  it('is asked before the file’s own entries: the one for the registry, else the store of all', async () => {
    using at = place()
    at.program('docker-credential-one', answer('one', '1'))
    at.program('docker-credential-all', answer('<token>', 'refresh'))
    const file = at.file('config.json', {
      credHelpers: { 'r.example': 'one' },
      credsStore: 'all',
      auths: { 'r.example': { auth: b64('file:f') }, 'https://index.docker.io/v1/': {} },
    })
    expect(await users(at, file, 'r.example/x')).toEqual(['one:1', 'file:f'])
    expect(await users(at, file, 'docker.io/library/x')).toEqual(['identity-token refresh'])
    expect(at.calls('docker-credential-one')).toEqual(['get|r.example'])
    expect(at.calls('docker-credential-all')).toEqual(['get|https://index.docker.io/v1/'])
  })

  it('that has none says so, and the file’s own entry is left', async () => {
    using at = place()
    at.program('docker-credential-none', 'echo "credentials not found in native keychain"; exit 1')
    const file = at.file('config.json', { credsStore: 'none', auths: { 'r.example': { auth: b64('file:f') } } })
    expect(await ask(at, file, 'r.example/x')).toEqual({
      logins: [{ kind: 'basic', username: 'file', password: 'f' }],
      problems: [],
    })
  })

  it.each([
    ['echo canary; echo canary >&2; exit 3', 'it failed (exit 3): echo r.example | docker-credential-bad get'],
    ['echo canary', 'it answered something else than a login'],
    ['kill -9 $$', 'it was ended by SIGKILL'],
    ['head -c 2000000 /dev/zero', 'it said more than 1048576 bytes'],
    ['sleep 60 & wait', 'it did not answer within 0.3 s'],
  ])('that fails is a problem without a word of what it said: %s', async (script, problem) => {
    using at = place()
    at.program('docker-credential-bad', script)
    const found = await askHelper('bad', 'r.example', environment(at), {
      signal: signal(),
      timeoutMs: script.startsWith('sleep') ? 300 : 10_000,
    })
    expect(found).toEqual({ logins: [], problems: [`docker-credential-bad: ${problem}`] })
  })

  it('is run for no pull secret, which comes out of a cluster', async () => {
    using at = place()
    at.program('docker-credential-good', answer('u', 'p'))
    const file = at.file('secret', { auths: { 'r.example': { auth: b64('own:q') } }, credHelpers: { 'r.example': 'good' } })
    const ask = (isPullSecret: boolean) =>
      authFileSource(file, { env: environment(at), mustExist: true, isPullSecret }).candidates(parse('r.example/x'), {
        signal: signal(),
      })
    expect((await ask(false)).logins).toHaveLength(2)
    expect(await ask(true)).toEqual({
      logins: [{ kind: 'basic', username: 'own', password: 'q' }],
      problems: [expect.stringMatching(/names the credential helper good, which no pull secret may have run/)],
    })
    expect(at.calls('docker-credential-good')).toHaveLength(1)
  })

  it('leaves nothing open where what it has started goes on without it', async () => {
    using at = place()
    at.program('docker-credential-bad', 'setsid sleep 5 & exit 0')
    const pipes = () => process.getActiveResourcesInfo().filter((name) => name === 'PipeWrap').length
    const before = pipes()
    await askHelper('bad', 'r.example', environment(at), { signal: signal(), timeoutMs: 300 })
    // What earlier programs had open may go meanwhile.
    await vi.waitFor(() => expect(pipes()).toBeLessThanOrEqual(before), 20_000)
  })

  it('that is not there, or whose name leads elsewhere, is a problem', async () => {
    using at = place()
    const problemOf = async (name: string) => (await askHelper(name, 'r.example', environment(at), { signal: signal() })).problems
    expect(await problemOf('gone')).toEqual(['docker-credential-gone: there is no such program'])
    expect(await problemOf('../../bin/sh')).toEqual(['docker-credential-../../bin/sh: that is no name of a credential helper'])
  })

  it('gets no argument but what to do, and of the environment what it may need', async () => {
    using at = place()
    at.program('docker-credential-env', `env > ${at.path}/env; ${answer('u', 'p')}`)
    const env = {
      ...environment(at),
      AWS_PROFILE: 'prod',
      HTTPS_PROXY: 'http://u:canary@p:1',
      HTTP_PROXY: 'http://p:1',
      WINDLASS_X: 'canary',
    }
    const file = at.file('config.json', { credsStore: 'env' })
    await authFileSource(file, { env, mustExist: true }).candidates(parse('r.example/x'), { signal: signal() })
    const seen = readFileSync(`${at.path}/env`, 'utf8')
    expect(seen).toContain('AWS_PROFILE=prod')
    expect(seen).toContain('HTTP_PROXY=http://p:1')
    expect(seen).not.toContain('canary')
    expect(at.calls('docker-credential-env')).toEqual(['get|r.example'])
  })

  it('ends with the one who waits for it, and all it has started', async () => {
    using at = place()
    at.program('docker-credential-slow', `sleep 61.25 & echo $! > ${at.path}/pid; wait`)
    const leaving = new AbortController()
    const asked = askHelper('slow', 'r.example', environment(at), { signal: leaving.signal })
    const pid = () => (existsSync(`${at.path}/pid`) ? readFileSync(`${at.path}/pid`, 'utf8').trim() : '')
    await expect.poll(pid, { timeout: 10_000 }).not.toBe('')
    leaving.abort()
    await expect(asked).rejects.toMatchObject({ failure: { kind: 'cancelled' } })
    const isRunning = () =>
      existsSync(`/proc/${pid()}/stat`) && !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid()}/stat`, 'utf8'))
    await expect.poll(isRunning, { timeout: 10_000 }).toBe(false)
  })
})

describe('a person’s logins', () => {
  const found = async (named: string | undefined, env: Record<string, string>) => {
    const all = await Promise.all(
      usualSources(named, env, 1000).map((source) => source.candidates(parse('r.example/x'), { signal: signal() })),
    )
    return all.flatMap(({ logins, problems }) => [
      ...logins.map((login) => (login.kind === 'basic' ? login.username : login.kind)),
      ...problems,
    ])
  }

  it('are looked for where podman looks, in that order; a file that is named is the only one', async () => {
    using at = place()
    const login = (name: string) => ({ auths: { 'r.example': { username: name, password: 'p' } } })
    at.file('run/containers/auth.json', login('runtime'))
    at.file('home/.config/containers/auth.json', login('config'))
    at.file('home/.docker/config.json', login('docker'))
    at.file('home/.dockercfg', { 'r.example': { username: 'old', password: 'p' } })
    at.file('elsewhere/config.json', login('elsewhere'))
    const env = { XDG_RUNTIME_DIR: `${at.path}/run`, HOME: `${at.path}/home` }
    expect(await found(undefined, env)).toEqual(['runtime', 'config', 'docker', 'old'])
    expect(await found(undefined, { ...env, DOCKER_CONFIG: `${at.path}/elsewhere` })).toEqual([
      'runtime',
      'config',
      'elsewhere',
      'old',
    ])
    expect(await found(undefined, { ...env, REGISTRY_AUTH_FILE: `${at.path}/elsewhere/config.json` })).toEqual(['elsewhere'])
    expect(await found(`${at.path}/gone`, env)).toEqual([`${at.path}/gone: there is no such file`])
    expect(await found(undefined, {})).toEqual([])
  })
})
