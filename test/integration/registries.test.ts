/** A node whose registries are described as its owner has them already: pulls of a real daemon, through mirrors, logins and proxies. */
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { basicAuthorization, login, startDockerRegistry } from '../registry/docker-registry.ts'
import { startProxy } from '../registry/proxy-server.ts'
import { buildImage, buildLayer } from '../support/image.ts'
import { startContainerd } from './containerd.ts'
import { lacking } from './lacking.ts'
import { mounted } from './process.ts'
import { push } from './push.ts'
import { startWindlass } from './windlass.ts'

const here = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' } as const
const image = buildImage({ platform: here, layers: [buildLayer({ tar: [{ name: 'a', content: 'a' }] })] })

async function place() {
  await using resources = new AsyncDisposableStack()
  const temporary = resources.use(await mkdtempDisposable(join(tmpdir(), 'windlass-registries-')))
  resources.use(mounted(temporary.path, ['-t', 'tmpfs', '-o', 'size=1g,nr_inodes=0', 'tmpfs']))
  const owned = resources.move()
  return { at: (name: string) => join(temporary.path, name), [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

describe.skipIf(lacking('root', 'docker-registry', 'containerd'))('beside a containerd', () => {
  it('whose own configuration has mirrors and logins, pulls are ours, by way of them', async ({ signal }) => {
    await using registry = await startDockerRegistry({ auth: 'basic' })
    await push({ host: registry.host, repository: 'test/app', authorization: basicAuthorization() }, '1', image)
    await using dir = await place()
    const table = 'plugins."io.containerd.grpc.v1.cri".registry'
    const cri = `
[${table}.mirrors."r.test"]
  endpoint = ["http://${registry.host}"]
[${table}.configs."${registry.host}".auth]
  username = "${login.username}"
  password = "${login.password}"
`
    await using containerd = await startContainerd(dir.at('containerd'), { signal, cri })
    const runtime = { kind: 'containerd', socket: containerd.socket }
    await using windlass = await startWindlass(dir.at('windlass'), { signal, runtime, runtimesHosts: true })
    await windlass.daemon.line(/"obstacles":\[\],"msg":"pulls land in the runtime"/, { signal })
    const pulled = await windlass.cri.image.pullImage({ image: { image: 'r.test/test/app:1' } }, { signal })
    expect(pulled.imageRef).toBe(image.id)
    // containerd's own pull keeps the layers' blobs; ours does not.
    expect((await containerd.ctr(['content', 'ls', '-q'], { signal })).trim().split('\n')).toHaveLength(2)
    expect((await containerd.cri.image.imageStatus({ image: { image: 'r.test/test/app:1' } }, { signal })).image?.id).toBe(
      image.id,
    )
    expect(windlass.daemon.output()).not.toContain(login.password)
  })
})

describe.skipIf(lacking('root', 'docker-registry'))('a daemon of its own', () => {
  it('goes by registries.conf, takes logins from an auth file, and reaches the registry through a proxy', async ({ signal }) => {
    await using registry = await startDockerRegistry({ auth: 'basic' })
    await push({ host: registry.host, repository: 'site/app', authorization: basicAuthorization() }, '1', image)
    await using proxy = await startProxy({ names: { 'mirror.test:80': registry.host }, login: 'puller:secret' })
    await using dir = await place()
    // HTTPS is tried first, and the proxy knows no such name with its port.
    await writeFile(
      dir.at('registries.conf'),
      '[[registry]]\nlocation = "r.test"\n[[registry.mirror]]\nlocation = "mirror.test/site"\ninsecure = true\n',
    )
    await writeFile(
      dir.at('auth.json'),
      JSON.stringify({ auths: { 'mirror.test': { username: login.username, password: login.password } } }),
    )
    await writeFile(
      dir.at('windlass.yaml'),
      `apiVersion: windlass.dev/v1alpha1
kind: WindlassConfiguration
registry:
  registriesConf: ${dir.at('registries.conf')}
  authFiles: [${dir.at('auth.json')}]
`,
    )
    const env = {
      WINDLASS_CONFIG: dir.at('windlass.yaml'),
      HTTP_PROXY: `http://puller:secret@${proxy.host}`,
      HTTPS_PROXY: `http://puller:secret@${proxy.host}`,
      NO_PROXY: '10.0.0.0/8',
    }
    await using windlass = await startWindlass(dir.at('windlass'), { signal, env })
    await expect(windlass.cri.image.pullImage({ image: { image: 'r.test/other:1' } }, { signal })).rejects.toThrow('mirror.test')
    const pulled = await windlass.cri.image.pullImage({ image: { image: 'r.test/app:1' } }, { signal })
    expect(pulled.imageRef).toBe(image.id)
    expect(proxy.asked).toContain('GET http://mirror.test/v2/site/app/manifests/1')
  })
})
