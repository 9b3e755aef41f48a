/** HTTPS with a CA of our own, and with client certificates. */
import { once } from 'node:events'
import { createServer } from 'node:https'
import { describe, expect, it } from 'vitest'
import { mediaTypes } from '../../src/oci/oci.ts'
import { hasOpenssl, makeCertificates } from './certificates.ts'
import { aManifest, certsDir, certsName, failureFrom, newClient, signal } from './client-under-test.ts'
import { startRegistry } from './embedded-registry.ts'

describe.skipIf(!hasOpenssl)('TLS', () => {
  const { ca, server, client: pair } = makeCertificates()

  async function registryOver(tls: Parameters<typeof startRegistry>[0]) {
    const registry = await startRegistry(tls)
    registry.putManifest('team/app', 'v1', aManifest, mediaTypes.ociManifest)
    return registry
  }
  const files = { 'ca.pem': ca, 'client.pem': pair.cert, 'client.key': pair.key }
  const withToml = (host: string, text: string) =>
    certsDir(
      Object.fromEntries([
        [`${certsName(host)}/hosts.toml`, text],
        ...Object.entries(files).map(([name, pem]) => [`${certsName(host)}/${name}`, pem]),
      ]),
    )

  it('is verified: an unknown CA fails, a ca of hosts.toml is trusted, skip_verify does without', async () => {
    await using registry = await registryOver({ tls: server })
    const server443 = `server = "https://${registry.host}"`
    const attempt = async (text: string) => {
      using dir = withToml(registry.host, text)
      await using client = newClient({ hostsDir: dir.path })
      return await client.open(registry.host).resolve({ signal: signal() })
    }
    const failure = await failureFrom(attempt(server443), 'registry-unavailable')
    expect(failure.tried[0]?.result).toMatch(
      /^its certificate is signed by an authority that this node does not know \(ca in its hosts\.toml/,
    )
    expect(await attempt(`${server443}\nca = "ca.pem"`)).toBeDefined()
    expect(await attempt(`${server443}\nskip_verify = true`)).toBeDefined()
  })

  it('that a registry does not speak is told with what makes it plain HTTP', async () => {
    await using registry = await registryOver({})
    using dir = withToml(registry.host, `server = "https://${registry.host}"`)
    await using client = newClient({ hostsDir: dir.path })
    const failure = await failureFrom(client.open(registry.host).resolve({ signal: signal() }), 'registry-unavailable')
    expect(failure.tried).toEqual([{ host: registry.host, result: expect.stringMatching(/answers without TLS .*http:/) }])
  })

  it('that ends for another reason is told in few words', async () => {
    const old = createServer({ ...server, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' })
    await once(old.listen(0, '127.0.0.1'), 'listening')
    try {
      const address = old.address()
      const host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
      using dir = withToml(host, `server = "https://${host}"\nca = "ca.pem"`)
      await using client = newClient({ hostsDir: dir.path })
      const failure = await failureFrom(client.open(host).resolve({ signal: signal() }), 'registry-unavailable')
      expect(failure.tried[0]?.result).toMatch(/^TLS: [a-z0-9 ]*protocol[a-z ]*$/)
    } finally {
      old.close()
    }
  })

  it('on an unconfigured loopback registry needs no CA', async () => {
    await using registry = await registryOver({ tls: server })
    await using client = newClient()
    expect(await client.open(registry.host).resolve({ signal: signal() })).toBeDefined()
  })

  it('takes the authorities of hosts.toml along where a registry sends us, no client certificate, and skip_verify to its own name alone', async () => {
    await using wanting = await registryOver({ tls: { ...server, clientCa: ca } })
    const stranger = makeCertificates()
    await using other = await registryOver({ tls: stranger.server })
    await using trusted = await registryOver({ tls: server })
    const resolve = async (origin: string, text: string) => {
      await using registry = await startRegistry({
        tls: server,
        fault: ({ path }) => ({ kind: 'redirect', location: `${origin}${path}` }),
      })
      using dir = withToml(registry.host, `server = "${registry.origin}"\nclient = [["client.pem", "client.key"]]\n${text}\n`)
      await using client = newClient({ hostsDir: dir.path })
      return await client.open(registry.host).resolve({ signal: signal() })
    }
    expect(await resolve(trusted.origin, 'ca = "ca.pem"')).toBeDefined()
    const unshown = await failureFrom(resolve(wanting.origin, 'ca = "ca.pem"'), 'registry-unavailable')
    expect(unshown.tried[0]?.result).toMatch(/^it wants a client certificate|closed|reset/)
    expect(wanting.requests).toEqual([])
    expect(await resolve(other.origin, 'skip_verify = true')).toBeDefined()
    const byOtherName = other.origin.replace('127.0.0.1', 'localhost')
    const unverified = await failureFrom(resolve(byOtherName, 'skip_verify = true'), 'registry-unavailable')
    expect(unverified.tried[0]?.result).toMatch(/certificate/)
  })

  it('shows the client certificate of hosts.toml to who asks for one', async () => {
    await using registry = await registryOver({ tls: { ...server, clientCa: ca } })
    const text = `server = "https://${registry.host}"\nca = "ca.pem"`
    using without = withToml(registry.host, text)
    await using stranger = newClient({ hostsDir: without.path })
    await failureFrom(stranger.open(registry.host).resolve({ signal: signal() }), 'registry-unavailable')
    using dir = withToml(registry.host, `${text}\nclient = [["client.pem", "client.key"]]`)
    await using client = newClient({ hostsDir: dir.path })
    expect(await client.open(registry.host).resolve({ signal: signal() })).toBeDefined()
  })
})
