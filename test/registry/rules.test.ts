/** The small pure rules: challenges, targets, waiting. */
import { describe, expect, it } from 'vitest'
import { chooseChallenge } from '../../src/registry/challenge.ts'
import { clean, parseErrorBody } from '../../src/registry/errors.ts'
import { forbiddenTarget } from '../../src/registry/guard.ts'
import { parseRetryAfter, retryDelay } from '../../src/registry/retry.ts'
import { secretsOf } from '../../src/registry/secrets.ts'

describe('a challenge', () => {
  const bearer = {
    scheme: 'bearer',
    realm: 'https://auth.example/token',
    service: 'r.example',
    scopes: ['repository:a/b:pull'],
    error: undefined,
  }
  it.each([
    ['Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull"', bearer],
    ['bearer REALM="https://auth.example/token", Service=r.example , scope="repository:a/b:pull"', bearer],
    ['Basic realm="x", Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull"', bearer],
    ['Negotiate, Basic realm="a, b=\\"c\\""', { scheme: 'basic' }],
    ['Bearer service="no realm"', undefined],
    ['Bearer', undefined],
    ['Digest realm="x"', undefined],
    ['', undefined],
    [`Bearer realm="${'x'.repeat(20_000)}"`, undefined],
    ['"""=,,=Bearer', undefined],
  ])('%s', (header, expected) => {
    expect(chooseChallenge(header)).toEqual(expected)
  })

  it('may come in several headers, with several scopes and an error', () => {
    expect(
      chooseChallenge(['Basic realm="x"', 'Bearer realm="https://a/",scope="a:b:c d:e:f",error="insufficient_scope"']),
    ).toEqual({
      scheme: 'bearer',
      realm: 'https://a/',
      service: undefined,
      scopes: ['a:b:c', 'd:e:f'],
      error: 'insufficient_scope',
    })
  })

  it('is read in linear time', () => {
    const hostile = `Bearer realm="${'\\"'.repeat(7_000)}`
    const started = performance.now()
    chooseChallenge(hostile)
    expect(performance.now() - started).toBeLessThan(500)
  })
})

describe('a target a registry names', () => {
  const registry = 'https://registry.example'
  it.each([
    ['https://cdn.example/x', registry, true],
    ['http://cdn.example/x', registry, false],
    ['http://cdn.example/x', 'http://registry.example', true],
    ['https://169.254.169.254/latest', registry, false],
    ['https://[::1]/', registry, false],
    ['https://[::ffff:127.0.0.1]/', registry, false],
    ['https://127.0.0.1/', registry, false],
    ['https://0x7f.1/', registry, false],
    ['https://localhost/', registry, false],
    ['https://0.0.0.0/', registry, false],
    ['https://10.1.2.3/', registry, false],
    ['https://10.1.2.3/', 'https://10.9.9.9', true],
    ['https://169.254.169.254/', 'https://10.9.9.9', false],
    ['https://127.0.0.1/', 'https://10.9.9.9', false],
    ['http://127.0.0.1:5001/', 'http://127.0.0.1:5000', true],
    ['http://127.0.0.1:5001/', 'http://localhost:5000', true],
    ['file:///etc/passwd', registry, false],
    ['https://user:pw@cdn.example/', registry, false],
    ['https://localhost./', registry, false],
    ['https://100.100.100.200/', registry, false],
    ['https://168.63.129.16/', registry, false],
    ['https://192.0.0.192/', registry, false],
    ['https://[fd20:ce::254]/', registry, false],
    ['https://[fec0::1]/', registry, false],
    ['https://[::169.254.169.254]/', registry, false],
    ['https://[64:ff9b::a9fe:a9fe]/', registry, false],
    ['https://[2002:7f00:1::]/', registry, false],
    ['https://[2002:a00:1::1]/', registry, false],
    ['https://[64:ff9b::cb00:7101]/', registry, true],
    ['https://[2001:db8::1]/', registry, true],
  ])('%s for %s: %s', (target, from, allowed) => {
    expect(forbiddenTarget(new URL(target), new URL(from)) === undefined).toBe(allowed)
  })
})

describe('waiting', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  it.each([
    ['5', 5_000],
    ['0', 0],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
    ['Thu, 01 Jan 2015 00:00:30 GMT', 0],
    ['31536000', 86_400_000],
    ['9'.repeat(400), 86_400_000],
    ['Fri, 31 Dec 9999 23:59:59 GMT', 86_400_000],
    ['soon', undefined],
    ['-5', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('Retry-After: %s', (header, expected) => {
    expect(parseRetryAfter(header, now)).toBe(expected)
  })

  const limited = (retryAfterMs: number | undefined) => ({ kind: 'rate-limited', result: '429', retryAfterMs }) as const
  const here = { last: true, begun: false }
  it('does as the registry asks, but not for longer than a minute', () => {
    expect(retryDelay(limited(3_000), 1, here)).toBeGreaterThanOrEqual(3_000)
    expect(retryDelay(limited(3_000), 1, here)).toBeLessThan(3_500)
    expect(retryDelay(limited(31_536_000_000), 1, here)).toBeUndefined()
  })

  it('ends after five tries, after two where another host can be asked, at once where it is no use', () => {
    const broken = { kind: 'unreachable', result: 'reset', definite: false, cause: new Error('reset') } as const
    expect(retryDelay(broken, 4, here)).toBeGreaterThan(0)
    expect(retryDelay(broken, 5, here)).toBeUndefined()
    // It broke while it brought something.
    expect(retryDelay(broken, 0, here)).toBe(0)
    expect(retryDelay(broken, 2, { last: false, begun: false })).toBeUndefined()
    expect(retryDelay({ ...broken, definite: true }, 1, here)).toBeUndefined()
    expect(retryDelay({ ...broken, definite: true }, 1, { last: true, begun: true })).toBeGreaterThan(0)
    expect(retryDelay(limited(undefined), 1, { last: false, begun: false })).toBeUndefined()
  })
})

describe('what a registry says', () => {
  const login = { kind: 'basic', username: 'u', password: 'canary-1' } as const
  it('is shown without secrets, signed queries and control characters', () => {
    const pair = Buffer.from('u:canary-1').toString('base64')
    const text = `bad canary-1\u001b[31m\n${pair} see https://s3.example/x?X-Amz-Signature=abc and`
    expect(clean(text, secretsOf(login, {}))).toBe('bad *** [31m *** see https://s3.example/x?*** and')
  })
  it.each([
    ['p"<é&=/\\', JSON.stringify('p"<é&=/\\')],
    ['p"<é&=/\\', '"p\\"\\u003cé\\u0026=/\\\\"'],
    ['p"<é&=/\\', JSON.stringify(JSON.stringify('p"<é&=/\\'))],
    ['p"<é&=/\\', encodeURIComponent('p"<é&=/\\')],
    ['p"<é&=/\\', 'p&quot;&lt;é&amp;=/\\'],
    ['p"<é&=/\\', 'p&#34;&lt;é&amp;=/\\'],
    ['line\nend', 'line\nend'],
    ['x'.repeat(5000), 'x'.repeat(5000)],
  ])('is shown without a password in whichever way it is written: %j in %.20s', (password, written) => {
    const secrets = secretsOf({ ...login, password }, {})
    expect(clean(`sent: ${written} by u`, secrets)).toMatch(/^sent: "?\\?"?\*\*\*"?\\?"? by u$/)
  })
  it('is shown without the headers that went along, and what is in a login among them', () => {
    const headers = { 'x-key': ['canary-2'], 'x-zone': ['eu'], proxied: `Basic ${Buffer.from('v:canary-3').toString('base64')}` }
    const secrets = secretsOf({ kind: 'anonymous' }, { ...headers, authorization: 'Bearer canary-4' })
    expect(clean('eu: canary-2 canary-3 canary-4', secrets)).toBe('eu: *** *** ***')
    expect(clean('100% of \\n it', secrets)).toBe('100% of \\n it')
  })
  it('is the code and message of its JSON, or the text that it is', () => {
    const body = (text: string) => parseErrorBody(Buffer.from(text), secretsOf(login, {}))
    expect(body('{"errors":[{"code":"DENIED","message":"no"}]}')).toEqual({ code: 'DENIED', text: 'DENIED: no' })
    expect(body('{"details":"incorrect password"}')).toEqual({ code: undefined, text: 'incorrect password' })
    expect(body('plain words')).toEqual({ code: undefined, text: 'plain words' })
    expect(body('<html>…')).toEqual({ code: undefined, text: '' })
  })
})
