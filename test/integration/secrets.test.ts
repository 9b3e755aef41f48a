/** Every secret there is passes through a daemon at once; then all that it leaves behind is searched for them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import type { IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { place } from '../credentials/places.ts'
import { certsName } from '../registry/client-under-test.ts'
import { basicAuthorization, login, startDockerRegistry } from '../registry/docker-registry.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { startProxy } from '../registry/proxy-server.ts'
import { buildImage, buildLayer } from '../support/image.ts'
import { lacking } from './lacking.ts'
import { push } from './push.ts'
import { startWindlass } from './windlass.ts'

const here = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' } as const

/** As they are typed, as they are sent, and as they stand in URLs and in JSON. */
function formsOf(secrets: Readonly<Record<string, string>>, users: readonly string[]): ReadonlyMap<string, string> {
  const forms = Object.entries(secrets).flatMap(([name, secret]) => [
    [secret, name] as const,
    [encodeURIComponent(secret), name] as const,
    [JSON.stringify(secret).slice(1, -1), name] as const,
    ...users.map((user) => [Buffer.from(`${user}:${secret}`).toString('base64'), name] as const),
  ])
  return new Map(forms)
}

/** What a careless registry says. The logins first: what is long is cut. */
function echo(headers: IncomingHttpHeaders): string {
  const { authorization = '', 'x-key': key } = headers
  const decoded = Buffer.from(authorization.replace(/^Basic /, ''), 'base64').toString('utf8')
  return JSON.stringify({
    errors: [{ code: 'DENIED', message: `sent: ${JSON.stringify([authorization, key, decoded, headers])}` }],
  })
}

/** The processes below one, by what /proc tells of their parents. */
function descendants(pid: number): readonly number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return [{ pid: Number(name), parent: Number(readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]?.split(' ')[1]) }]
      } catch {
        return [] // it has ended
      }
    })
  const below = (of: number): readonly number[] =>
    parents.filter(({ parent }) => parent === of).flatMap(({ pid }) => [pid, ...below(pid)])
  return below(pid)
}

describe.skipIf(lacking('root', 'docker-registry'))('secrets', () => {
  it('are in no log, error, metric, file below the root, argument or environment of a child', async ({ signal }) => {
    const secrets = {
      htpasswd: login.password,
      file: 'canary-file?&="',
      refused: 'canary-refused',
      helper: 'canary-helper',
      plugin: 'canary-plugin',
      proxy: 'canary-proxy',
      header: 'canary-header',
      cri: 'canary-cri',
      identity: 'canary-identity',
      bearer: 'canary-bearer',
      issued: 'canary-issued',
      presigned: 'canary-presigned',
      environment: 'canary-environment',
    }
    const forms = formsOf(secrets, ['windlass', 'alice', 'helped', 'plugged', 'puller', 'carol'])
    const found: string[] = []
    const search = (where: string, bytes: Buffer | string): void => {
      const text = typeof bytes === 'string' ? bytes : bytes.toString('latin1')
      for (const [form, name] of forms) if (text.includes(form)) found.push(`${name} in ${where}`)
    }

    await using docker = await startDockerRegistry({ auth: 'basic' })
    const image = buildImage({ platform: here, layers: [buildLayer({ tar: [{ name: 'a', content: 'a' }] })] })
    await push({ host: docker.host, repository: 'test/app', authorization: basicAuthorization() }, '1', image)
    // Tells back whatever it is sent, as careless registries and proxies do; it asks for a login, and then refuses it.
    await using echoing = await startRegistry({
      auth: { kind: 'basic', username: 'nobody', password: 'nothing' },
      fault: ({ headers, authorization }) =>
        authorization === 'none'
          ? undefined
          : {
              kind: 'status',
              status: 403,
              body: echo(headers),
            },
    })
    await using tokens = await startRegistry({
      auth: { kind: 'bearer', users: {}, refreshTokens: [] },
      fault: ({ path, headers, authorization }) => {
        if (path === '/token') return { kind: 'status', status: 200, body: JSON.stringify({ token: secrets.issued }) }
        return authorization === 'none' ? undefined : { kind: 'status', status: 403, body: echo(headers) }
      },
    })
    await using signing = await startRegistry({
      fault: () => ({ kind: 'redirect', location: `http://127.0.0.1:1/blob?X-Signature=${secrets.presigned}` }),
    })
    await using proxy = await startProxy({ names: {}, login: 'somebody:else' })

    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-secrets-'))
    using at = place()
    const go = `${at.path}/go`
    const held = `touch ${at.path}/held-$$; while [ ! -e ${go} ]; do sleep 0.05; done`
    at.program('docker-credential-held', `${held}\necho '${JSON.stringify({ Username: 'helped', Secret: secrets.helper })}'`)
    const response = {
      apiVersion: 'credentialprovider.kubelet.k8s.io/v1',
      kind: 'CredentialProviderResponse',
      cacheKeyType: 'Global',
      auth: { [echoing.host]: { username: 'plugged', password: secrets.plugin } },
    }
    at.program('plugin', `${held}\necho '${JSON.stringify(response)}'`)
    const providers = at.file('providers.yaml', {
      apiVersion: 'kubelet.config.k8s.io/v1',
      kind: 'CredentialProviderConfig',
      providers: [{ name: 'plugin', matchImages: [echoing.host], defaultCacheDuration: '1h', apiVersion: response.apiVersion }],
    })
    const authFile = at.file('auth.json', {
      auths: {
        [docker.host]: { username: login.username, password: login.password },
        [`${docker.host}/test`]: { username: 'alice', password: secrets.refused },
        [echoing.host]: { auth: Buffer.from(`alice:${secrets.file}`).toString('base64') },
      },
      credHelpers: { [echoing.host]: 'held' },
    })
    const broken = at.file('broken.json', `{"auths": {"x": {"auth": "${secrets.file}" oops}}}`)
    const config = at.file(
      'windlass.yaml',
      JSON.stringify({
        apiVersion: 'windlass.dev/v1alpha1',
        kind: 'WindlassConfiguration',
        registry: {
          httpProxy: `http://puller:${secrets.proxy}@${proxy.host}`,
          httpsProxy: `http://puller:${secrets.proxy}@${proxy.host}`,
          authFiles: [authFile, broken],
          credentialProvider: { configPath: providers, binDir: at.path },
        },
        metrics: { bindAddress: '127.0.0.1:0' },
        logging: { format: 'json', level: 'trace' },
      }),
    )
    const windlassDir = join(dir.path, 'w')
    await using windlass = await startWindlass(windlassDir, {
      signal,
      env: { WINDLASS_CONFIG: config, PATH: `${at.path}:${process.env.PATH}`, SOME_TOKEN: secrets.environment },
    })
    const hosts = join(windlassDir, 'hosts', certsName(echoing.host))
    mkdirSync(hosts, { recursive: true })
    writeFileSync(join(hosts, 'hosts.toml'), `server = "${echoing.origin}"\n[header]\nX-Key = "${secrets.header}"\n`)
    const wrongHosts = join(windlassDir, 'hosts', 'broken.test')
    mkdirSync(wrongHosts, { recursive: true })
    writeFileSync(join(wrongHosts, 'hosts.toml'), `[header]\nX-Key = "${secrets.header}"\nnonsense\n`)

    const pull = async (name: string, auth?: Parameters<typeof windlass.cri.image.pullImage>[0]['auth']): Promise<string> => {
      try {
        return (
          await windlass.cri.image.pullImage({ image: { image: name }, ...(auth === undefined ? {} : { auth }) }, { signal })
        ).imageRef
      } catch (error) {
        search(`the error for ${name}`, String(error))
        return String(error)
      }
    }
    expect(await pull(`${docker.host}/test/app:1`)).toBe(image.id)

    const echoed = pull(`${echoing.host}/x/y:1`)
    await expect.poll(() => readdirSync(at.path).filter((name) => name.startsWith('held-')).length, { timeout: 20_000 }).toBe(2)
    const children = descendants(windlass.daemon.pid)
    expect(children.length).toBeGreaterThanOrEqual(3)
    for (const pid of [windlass.daemon.pid, ...children]) {
      if (!existsSync(`/proc/${pid}/cmdline`)) continue
      search(`the arguments of ${pid}`, readFileSync(`/proc/${pid}/cmdline`))
      // The daemon itself was given one; no child has it.
      if (pid !== windlass.daemon.pid) search(`the environment of ${pid}`, readFileSync(`/proc/${pid}/environ`))
    }
    writeFileSync(go, '')
    expect(await echoed).toMatch(/denied/i)

    expect(await pull(`${docker.host}/test/other:1`, { username: 'carol', password: secrets.cri })).toMatch(/carol/)
    expect(await pull(`${tokens.host}/x/y:1`, { identityToken: secrets.identity })).toMatch(/denied|authentication/)
    expect(await pull(`${echoing.host}/x/y:1`, { registryToken: secrets.bearer })).toMatch(/denied/)
    expect(await pull(`${signing.host}/x/y:1`)).toMatch(/127\.0\.0\.1:1|refused/)
    expect(await pull('proxied.test/x/y:1')).toMatch(/407/)
    expect(await pull('broken.test/x/y:1')).toMatch(/hosts\.toml:3/)
    // Each of them was really sent or read.
    const seen = JSON.stringify([[...echoing.requests, ...tokens.requests].map(({ headers }) => headers), proxy.logins])
    for (const sent of [
      secrets.header,
      secrets.bearer,
      secrets.issued,
      ...['helped', 'plugged', 'alice'].map((user) => basicOf(user, secrets)),
    ])
      expect(seen).toContain(sent)

    const [, port] = await windlass.daemon.line(/"metrics":\{"host":"127\.0\.0\.1","port":(\d+)\}/, { signal })
    search('the metrics', await (await fetch(`http://127.0.0.1:${port}/metrics`, { signal })).text())
    search('the log', windlass.daemon.output())
    for (const entry of readdirSync(windlass.root, { recursive: true, withFileTypes: true }))
      if (entry.isFile()) search(join(entry.parentPath, entry.name), readFileSync(join(entry.parentPath, entry.name)))
    expect(found).toEqual([])
  })
})

const basicOf = (user: string, secrets: { helper: string; plugin: string; file: string }): string =>
  Buffer.from(`${user}:${{ helped: secrets.helper, plugged: secrets.plugin, alice: secrets.file }[user]}`).toString('base64')
