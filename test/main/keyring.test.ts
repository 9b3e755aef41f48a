import { pino } from 'pino'
import { expect, it } from 'vitest'
import { keyringFor } from '../../src/main/keyring.ts'
import { b64, place } from '../credentials/places.ts'

const none = { username: '', password: '', auth: '', identityToken: '' }
const containerd = (logins: Record<string, Partial<typeof none>>) => ({
  file: '/etc/containerd/config.toml',
  mirrors: {},
  tls: {},
  headers: {},
  logins: Object.fromEntries(Object.entries(logins).map(([host, login]) => [host, { ...none, ...login }])),
})
const nothing = { authFiles: [] }

it('a node without any place for logins has no keyring', () => {
  expect(keyringFor(nothing, undefined, pino({ enabled: false }))).toBeUndefined()
})

it('containerd’s own logins come first, in each of their forms, then the auth files; what is wrong is logged without a secret', async () => {
  using at = place()
  const lines: string[] = []
  const log = pino({}, { write: (line) => void lines.push(line) })
  const file = at.file('auth.json', { auths: { 'r.example': { auth: b64('file:f') }, 'docker.io': { auth: b64('hub:h') } } })
  const logins = {
    'r.example': { username: 'u', password: 'p', auth: b64('not:this') },
    'registry-1.docker.io': { auth: b64('own:o') },
    't.example:5000': { identityToken: 't' },
    'bad.example': { auth: 'canary' },
  }
  const keyring = keyringFor({ ...nothing, authFiles: [file, `${at.path}/gone`] }, containerd(logins), log)
  const ask = async (registry: string) =>
    (await keyring?.candidates({ registry, repository: 'x' }, { signal: AbortSignal.timeout(5_000) }))?.logins
  expect(await ask('r.example')).toEqual([
    { kind: 'basic', username: 'u', password: 'p' },
    { kind: 'basic', username: 'file', password: 'f' },
  ])
  expect(await ask('docker.io')).toEqual([
    { kind: 'basic', username: 'own', password: 'o' },
    { kind: 'basic', username: 'hub', password: 'h' },
  ])
  expect(await ask('t.example:5000')).toEqual([{ kind: 'identity-token', token: 't' }])
  expect(await ask('bad.example')).toEqual([])
  expect(lines.join('')).toContain(`${at.path}/gone: there is no such file`)
  expect(lines.join('')).toContain('"host":"bad.example"')
  expect(lines.join('')).not.toContain('canary')
})
