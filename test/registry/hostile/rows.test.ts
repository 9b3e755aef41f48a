import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const top = join(import.meta.dirname, '..', '..', '..')
const here = readdirSync(import.meta.dirname).filter((file) => file !== 'rows.test.ts')

/** The rows of the hostile registry that have their test with what they are about, and what it is called there. */
const ELSEWHERE: Readonly<Record<string, readonly (readonly [file: string, test: string])[]>> = {
  R1: [
    ['test/registry/auth.test.ts', 'is not asked for at %s'],
    ['test/registry/rules.test.ts', 'a target a registry names'],
  ],
  R2: [
    ['test/registry/rules.test.ts', 'a target a registry names'],
    ['test/registry/fetch.test.ts', 'to %s is not followed'],
    ['test/registry/guard.test.ts', 'a redirect by a name that changes its address between two looks'],
  ],
  R6: [['test/registry/auth.test.ts', 'that is refused over and over is renewed twice']],
  R7: [['test/registry/auth.test.ts', 'is not taken from an answer %s']],
  R8: [['test/registry/resolve.test.ts', 'cuts a document off at 4 MiB']],
  R11: [['test/oci/parse.test.ts', 'a double key']],
  R12: [
    ['test/registry/resolve.test.ts', 'takes the type of the header, without parameters, where the document has none'],
    ['test/oci/parse.test.ts', 'a type other than served'],
  ],
  R13: [['test/oci/parse.test.ts', 'a path for a digest']],
  R14: [['test/registry/resolve.test.ts', 'holds the bytes against the digest of the reference']],
  R15: [
    ['test/oci/parse.test.ts', 'size 2^53+1'],
    ['test/registry/fetch.test.ts', 'says when a blob is shorter than its descriptor'],
  ],
  R16: [['test/registry/fetch.test.ts', 'stops at the first byte too many']],
  R18: [
    ['test/registry/fetch.test.ts', 'does not believe a 206 with Content-Range'],
    ['test/registry/shares.test.ts', 'comes over one from a registry that takes ranges and %s'],
  ],
  R20: [
    ['test/pull/anew.test.ts', 'in one of two answers it was put together from comes anew in one'],
    ['test/pull/partials.test.ts', 'with %s bytes is thrown away, and the layer comes anew'],
  ],
  R22: [
    ['test/registry/health.test.ts', 'is sat out once by all pulls of that host'],
    ['test/registry/rules.test.ts', 'Retry-After: %s'],
  ],
  R23: [
    ['test/registry/resolve.test.ts', 'is given up after five answers of 500'],
    ['test/registry/health.test.ts', 'is left within 5 s, and the next one goes on'],
  ],
  R25: [['test/registry/pace.test.ts', 'is not looked at while nobody would take a byte']],
  R26: [['test/registry/tls.test.ts', 'is verified: an unknown CA fails']],
  R28: [
    ['test/registry/resolve.test.ts', 'refuses an encoded answer'],
    ['test/registry/fetch.test.ts', 'refuses an encoded body'],
  ],
  R30: [['test/registry/fetch.test.ts', 'that leads in a circle ends after five']],
}

it('every row, R1 to R30, is a test here, or one of those named elsewhere', () => {
  const named = here.flatMap((file) => readFileSync(join(import.meta.dirname, file), 'utf8').match(/['"`]R\d+ /g) ?? [])
  const rows = new Set([...named.map((name) => name.slice(1).trim()), ...Object.keys(ELSEWHERE)])
  expect(Array.from({ length: 30 }, (_, at) => `R${at + 1}`).filter((row) => !rows.has(row))).toEqual([])
})

it('and those named elsewhere are there', () => {
  const lost = Object.values(ELSEWHERE)
    .flat()
    .filter(([file, test]) => !readFileSync(join(top, file), 'utf8').includes(test))
  expect(lost).toEqual([])
})
