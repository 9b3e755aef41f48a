/** A daemon in a pod, as far as it can tell: its cluster is told how whole its lists are. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { startApiServer } from '../kube/api-server.ts'
import { makeCertificates } from '../registry/certificates.ts'
import { startRegistry } from '../registry/embedded-registry.ts'
import { buildImage, buildLayer, publish } from '../support/image.ts'
import { lacking } from './lacking.ts'
import { here, scrape } from './scrape.ts'
import { startWindlass } from './windlass.ts'

const HEAD = 'apiVersion: windlass.dev/v1alpha1\nkind: '

/** A mount namespace of its own, in which kubelet has mounted a service account. */
const inPod = (account: string): readonly string[] => [
  'unshare',
  '--mount',
  'sh',
  '-ec',
  `mount -t tmpfs tmpfs /run
mkdir -p /var/run/secrets/kubernetes.io/serviceaccount
mount --bind "${account}" /var/run/secrets/kubernetes.io/serviceaccount
exec "$@"`,
  'pod',
]

describe.skipIf(lacking('root', 'openssl', 'unshare'))('in a cluster', () => {
  it('a condition of the node says whether each list is whole, and an Event what failed', async ({ signal }) => {
    await using registry = await startRegistry()
    const certificates = makeCertificates()
    await using api = await startApiServer('node-1', certificates.server)
    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-kubernetes-'))
    api.token = 'canary-token'
    api.mountInto(join(dir.path, 'account'), certificates.ca)
    publish(registry, 'app', '1', buildImage({ platform: here, layers: [buildLayer({ tar: [{ name: 'a', content: 'a' }] })] }))
    const [lists, file] = [join(dir.path, 'lists'), join(dir.path, 'windlass.yaml')]
    mkdirSync(lists)
    writeFileSync(file, `${HEAD}WindlassConfiguration\nprepull: {listDir: ${lists}, minFreePercent: 1, kubernetes: true}\n`)
    const declare = (...images: readonly string[]): void =>
      writeFileSync(
        join(lists, 'base.yaml'),
        `${HEAD}ImageList\nmetadata: {name: base}\nspec: {images: [${images.map((image) => `{image: "${registry.host}/${image}"}`).join(', ')}]}\n`,
      )
    const isBase = (status: string): boolean =>
      api.conditions().some((each) => each.type === 'windlass.dev/base' && each.status === status)
    declare('app:1')
    const env = {
      WINDLASS_CONFIG: file,
      WINDLASS_METRICS_ADDRESS: '127.0.0.1:0',
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(api.port),
      NODE_NAME: 'node-1',
    }
    await using windlass = await startWindlass(dir.path, { signal, env, wrapper: inPod(join(dir.path, 'account')) })
    await api.until(() => isBase('True'))

    declare('app:1', 'none:1')
    await api.until(() => isBase('False') && api.events.size > 0)
    expect([...api.events.values()]).toMatchObject([{ reason: 'PrepullFailed', involvedObject: { name: 'node-1' } }])
    expect([...api.events.values()][0]?.message).toContain(`${registry.host}/none:1`)
    declare('app:1')
    await api.until(() => isBase('True'))
    await windlass.cri.image.removeImage({ image: { image: `${registry.host}/app:1` } }, { signal })
    // Nobody can give it again just now, so that its loss stays to be seen.
    registry.fault = () => ({ kind: 'status', status: 404 })
    process.kill(windlass.daemon.pid, 'SIGHUP')
    writeFileSync(join(lists, 'other.yaml'), `${HEAD}ImageList\nmetadata: {name: other}\nspec: {images: []}\n`)
    await api.until(() => isBase('False'))

    expect(await scrape(windlass, { signal })).toMatch(
      /windlass_kubernetes_writes_total\{resource="nodes",outcome="done"\} [1-9]/,
    )
    expect(windlass.daemon.output()).not.toContain('canary')
    expect(api.kubelets.status).toBe('True')
  }, 120_000)

  it('nothing is told where there is none, and why is said once', async ({ signal }) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-kubernetes-'))
    const [lists, file] = [join(dir.path, 'lists'), join(dir.path, 'windlass.yaml')]
    mkdirSync(lists)
    writeFileSync(file, `${HEAD}WindlassConfiguration\nprepull: {listDir: ${lists}, kubernetes: true}\n`)
    await using windlass = await startWindlass(dir.path, { signal, env: { WINDLASS_CONFIG: file, KUBERNETES_SERVICE_HOST: '' } })
    await windlass.daemon.line(/this is no pod.*"msg":"the cluster is told nothing of image lists"/, { signal })
  })
})
