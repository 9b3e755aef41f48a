import { describe, expect, it } from 'vitest'
import { WindlassError } from '../../src/failure/failure.ts'
import { formatReference, parseReference } from '../../src/reference/parse.ts'

const hex = 'ab'.repeat(32)
const normal = (text: string): string => formatReference(parseReference(text))
const reasonOf = (text: string): string => {
  try {
    parseReference(text)
  } catch (error) {
    if (error instanceof WindlassError && error.failure.kind === 'invalid-reference') return error.failure.reason
    throw error
  }
  throw new Error(`${text} was accepted`)
}

describe('parseReference', () => {
  it.each([
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1.2', 'docker.io/library/nginx:1.2'],
    ['foo/bar:1', 'docker.io/foo/bar:1'],
    ['docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['index.docker.io/x', 'docker.io/library/x:latest'],
    ['localhost/x', 'localhost/x:latest'],
    ['localhost:5000', 'docker.io/library/localhost:5000'],
    ['localhost:5000/x', 'localhost:5000/x:latest'],
    ['Foo/x', 'Foo/x:latest'],
    ['registry.k8s.io/pause:3.9', 'registry.k8s.io/pause:3.9'],
    ['r.example:443/a/b/c', 'r.example:443/a/b/c:latest'],
    ['[::1]:5000/x:1', '[::1]:5000/x:1'],
    ['[2001:db8::1]/x', '[2001:db8::1]/x:latest'],
    ['127.0.0.1:5000/a__b/c---d', '127.0.0.1:5000/a__b/c---d:latest'],
    [`r.example/x:tag@sha256:${hex}`, `r.example/x@sha256:${hex}`],
    [`x@sha256:${hex}`, `docker.io/library/x@sha256:${hex}`],
    ['r.example/x:_A.b-C', 'r.example/x:_A.b-C'],
  ])('%s is %s', (text, want) => {
    expect(normal(text)).toBe(want)
    expect(normal(want)).toBe(want)
  })

  it.each([
    ['', /empty/],
    [hex, /image id/],
    [`sha256:${hex}`, /names no repository/],
    ['https://r.example/x', /scheme/],
    ['r.example/Foo', /lower case/],
    ['Nginx', /lower case/],
    ['r.example//x', /component.*empty/],
    ['r.example/x/', /component.*empty/],
    ['/x', /component.*empty/],
    ['r.example/', /component.*empty/],
    ['r.example/../etc', /component/],
    ['r.example/a..b', /component/],
    ['r.example/a___b', /component/],
    ['r.example/-a', /component/],
    ['x:', /tag after : is empty/],
    ['x:-a', /tag/],
    ['x:a:b', /tag/],
    [`x:${'t'.repeat(129)}`, /129 characters/],
    [`r.example/${'a'.repeat(256)}`, /256 characters/],
    ['a'.repeat(2000), /2000 characters/],
    ['x y', /" "/],
    ['x\n', /not allowed/],
    ['x\u0000', /not allowed/],
    ['é', /not allowed/],
    ['x@', /digest/],
    [`x@sha256:${hex.toUpperCase()}`, /lower-case/],
    [`x@sha512:${hex}${hex}`, /only sha256/],
    [`x@sha256:${hex}@sha256:${hex}`, /more than one @/],
    ['r.example:99999/x', /port/],
    ['r.example:/x', /port/],
    ['r.example:5:5/x', /port|host/],
    ['[::g]/x', /IPv6/],
    ['[::1/x', /host/],
    ['-r.example/x', /host/],
    ['r..example/x', /host/],
  ])('refuses %j', (text, reason) => {
    expect(reasonOf(text)).toMatch(reason)
  })

  it('never echoes more than a line of the input', () => {
    expect(() => parseReference('a'.repeat(1_000_000))).toThrow(/^.{0,400}$/)
  })

  it('drops the tag beside a digest but still wants it valid', () => {
    expect(parseReference(`x:1@sha256:${hex}`)).toEqual({
      registry: 'docker.io',
      repository: 'library/x',
      digest: `sha256:${hex}`,
    })
    expect(reasonOf(`x:-@sha256:${hex}`)).toMatch(/tag/)
  })
})
