import { expect, it } from 'vitest'
import { credentialsOf } from '../../src/cri/auth.ts'
import { failureOf } from '../../src/failure/failure.ts'
import { parseReference } from '../../src/reference/parse.ts'
import type { AuthConfig__Output } from '../../src/rpc/generated/runtime/v1/AuthConfig.ts'

const none: AuthConfig__Output = { username: '', password: '', auth: '', serverAddress: '', identityToken: '', registryToken: '' }
const base64 = (text: string) => Buffer.from(text, 'latin1').toString('base64')
const hub = parseReference('app')
const own = parseReference('r.example:5000/app')
const basic = { kind: 'basic', username: 'u', password: 'p' }
const anonymous = { kind: 'anonymous' }

it.each([
  ['nothing', {}, anonymous],
  ['name and password', { username: 'u', password: 'p' }, basic],
  ['a name alone', { username: 'u' }, { kind: 'basic', username: 'u', password: '' }],
  ['base64', { auth: base64('u:p') }, basic],
  ['base64 of a password with colons', { auth: base64('u:p:q') }, { ...basic, password: 'p:q' }],
  ['base64 padded by docker', { auth: base64('u:p\0\0') }, basic],
  [
    'an identity token beside a name',
    { username: '00000000', password: '', identityToken: 't' },
    { kind: 'identity-token', token: 't' },
  ],
  ['a registry token', { registryToken: 't.t' }, { kind: 'registry-token', token: 't.t' }],
])('takes %s', (_what, auth, want) => {
  expect(credentialsOf({ ...none, ...auth }, hub)).toEqual(want)
})

it('takes no auth at all', () => {
  expect(credentialsOf(null, hub)).toEqual(anonymous)
})

it.each([
  ['', hub, basic],
  ['https://index.docker.io/v1/', hub, basic],
  ['docker.io', hub, basic],
  ['r.example:5000', own, basic],
  ['https://R.example:5000/v2/', own, basic],
  ['r.example', own, anonymous],
  ['r.example:5000.evil.example', own, anonymous],
  ['https://evil.example/r.example:5000', own, anonymous],
  ['docker.io', own, anonymous],
])('sends credentials for %j only where they belong', (serverAddress, reference, want) => {
  expect(credentialsOf({ ...none, username: 'u', password: 'p', serverAddress }, reference)).toEqual(want)
})

it.each([
  [{ auth: 'not base64!' }],
  [{ auth: base64('nocolon-hunter2') }],
  [{ auth: base64(':hunter2') }],
  [{ registryToken: 'hunter2\r\nX-Injected: 1' }],
  [{ identityToken: 'hunter2 ü' }],
])('refuses %j without repeating it', (auth) => {
  let failure: unknown
  try {
    credentialsOf({ ...none, ...auth }, hub)
  } catch (error) {
    failure = failureOf(error)
    expect(String(error)).not.toContain('hunter2')
  }
  expect(failure).toMatchObject({ kind: 'invalid-argument' })
})
