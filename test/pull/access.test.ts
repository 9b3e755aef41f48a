/** Who pulled what, and whether that is anything to the next one: two logins at Debian's docker-registry. */
import { mkdtempDisposableSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { mediaTypes } from '../../src/oci/oci.ts'
import { identifier } from '../../src/pull/identity.ts'
import { parseReference } from '../../src/reference/parse.ts'
import type { Credentials } from '../../src/registry/registry.ts'
import {
  basicAuthorization,
  hasDockerRegistry,
  login,
  otherLogin,
  pushBlob,
  pushManifest,
  startDockerRegistry,
} from '../registry/docker-registry.ts'
import { buildImage } from '../support/image.ts'
import { openLab } from './lab.ts'

const isRoot = process.getuid?.() === 0
const canRun = isRoot && hasDockerRegistry()
if (!canRun) console.warn('skipped: pulls from docker-registry need root and docker-registry')

const image = buildImage({ layers: [{ tar: [{ type: 'file', name: 'secret', content: 'plans' }] }] })
const anonymous: Credentials = { kind: 'anonymous' }
const basic = (user: { username: string; password: string }): Credentials => ({ kind: 'basic', ...user })
const stranger = basic({ username: 'stranger', password: 'guess' })
const identify = identifier(Buffer.alloc(32, 7))

/** A private registry, and a mirror that gives everybody what the registry has. */
async function open({ recheckAccess }: { recheckAccess: boolean }) {
  const stack = new AsyncDisposableStack()
  onTestFinished(() => stack.disposeAsync())
  const dir = join(stack.use(mkdtempDisposableSync(join(tmpdir(), 'windlass-access-'))).path, 'data')
  const registry = stack.use(await startDockerRegistry({ auth: 'basic', dir }))
  const mirror = stack.use(await startDockerRegistry({ dir }))
  const lab = stack.use(await openLab({ identify, recheckAccess }))
  const target = { host: registry.host, repository: 'team/app', authorization: basicAuthorization() }
  for (const { blob } of image.layers) await pushBlob(target, blob)
  await pushBlob(target, image.config)
  await pushManifest(target, '1', image.bytes, mediaTypes.ociManifest)
  const reference = parseReference(`${registry.host}/team/app:1`)
  const as = (credentials: Credentials) => ({ reference, credentials, client: 'cri' as const })
  const receipts = () => lab.store.receipts.of({ id: image.id, pulledAt: new Date() })
  const viaMirror = () => lab.useMirror(`http://${mirror.host}`, { host: registry.host, origin: `http://${registry.host}` })
  return { stack, registry, mirror, lab, as, receipts, viaMirror }
}

describe.skipIf(!canRun)('two logins at one registry', () => {
  test('each has a receipt that holds nothing to log in with', async () => {
    const { lab, as, receipts, registry } = await open({ recheckAccess: false })
    await lab.pull(as(basic(login)))
    await lab.pull(as(basic(otherLogin)))
    await lab.pull(as(basic(login)))
    const known = await receipts()
    const name = `${registry.host}/team/app@${image.descriptor.digest}`
    expect(known.receipts).toMatchObject([
      { identity: identify(basic(login)), name, host: registry.host },
      { identity: identify(basic(otherLogin)), name, host: registry.host },
    ])
    expect(known.since).toBeInstanceOf(Date)
    expect(JSON.stringify(known)).not.toMatch(new RegExp(`${login.username}|${login.password}`))
  })

  test('whom the registry refuses gets nothing of it, whoever pulled it before', async () => {
    const { lab, as, receipts } = await open({ recheckAccess: false })
    await lab.pull(as(basic(login)))
    expect(await lab.refusal(as(stranger))).toMatchObject({ kind: 'unauthorized', user: 'stranger' })
    expect(await lab.refusal(as(anonymous))).toMatchObject({ kind: 'unauthorized' })
    expect((await receipts()).receipts).toHaveLength(1)
  })

  test('behind a mirror that asks nobody, a stranger gets what another has pulled', async () => {
    const { lab, as, viaMirror, mirror, receipts } = await open({ recheckAccess: false })
    viaMirror()
    await lab.pull(as(basic(login)))
    await lab.pull(as(stranger))
    expect((await receipts()).receipts.map(({ host }) => host)).toEqual([mirror.host, mirror.host])
  })

  test('unless registry.recheckAccess is on: the registry itself has the word', async () => {
    const { lab, as, viaMirror, receipts, registry } = await open({ recheckAccess: true })
    viaMirror()
    expect(await lab.refusal(as(stranger))).toMatchObject({ kind: 'unauthorized', host: registry.host })
    await lab.pull(as(basic(login)))
    expect(await lab.refusal(as(stranger))).toMatchObject({ kind: 'unauthorized', user: 'stranger' })
    expect(await lab.refusal(as(anonymous))).toMatchObject({ kind: 'unauthorized' })
    await lab.pull(as(basic(otherLogin)))
    expect((await receipts()).receipts.map(({ identity }) => identity)).toEqual(
      [otherLogin, login].map((user) => identify(basic(user))),
    )
  })

  test('and where it cannot be asked, nobody gets anything: not by the mirror, not by the runtime', async () => {
    const { lab, as, viaMirror, registry } = await open({ recheckAccess: true })
    viaMirror()
    await lab.pull(as(basic(login)))
    await registry[Symbol.asyncDispose]()
    const unconfirmed = { kind: 'access-unconfirmed', tried: [{ host: registry.host, result: 'connection refused' }] }
    expect(await lab.refusal(as(basic(login)))).toMatchObject(unconfirmed)
  })

  test('where neither mirror nor registry can be asked it is the same kind', async () => {
    const { lab, as, viaMirror, registry, mirror } = await open({ recheckAccess: true })
    viaMirror()
    await registry[Symbol.asyncDispose]()
    await mirror[Symbol.asyncDispose]()
    expect(await lab.refusal(as(basic(login)))).toMatchObject({ kind: 'access-unconfirmed', tried: [{}, {}] })
  })
})

test('an identity is the same for the same login on one node, and on no other', () => {
  const [one, two] = [identifier(Buffer.alloc(32, 1)), identifier(Buffer.alloc(32, 2))]
  expect(one(basic(login))).toBe(one({ kind: 'basic', password: login.password, username: login.username }))
  const all = [
    basic(login),
    basic(otherLogin),
    stranger,
    { kind: 'identity-token', token: 't' },
    { kind: 'registry-token', token: 't' },
  ] as const
  expect(new Set([...all.map(one), ...all.map(two)]).size).toBe(2 * all.length)
  expect(one(anonymous)).toBe('anonymous')
})
