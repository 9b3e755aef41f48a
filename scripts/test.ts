/**
 * `npm test`: sets up the machine where it can, then the static checks, then every test. Arguments go to vitest (`npm test -- test/oci`).
 * The last line counts: `N passed, N failed[, N skipped]`, a static check counting as one.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempDisposableSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { z } from 'zod'
import { installMissing, isRoot, missingOf, testParts } from './machine.ts'
import { staticChecks } from './static-checks.ts'

const top = join(import.meta.dirname, '..')

/** The part of vitest's JSON report that is counted here. */
const Report = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.enum(['passed', 'failed']),
      message: z.string(),
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
})
type Counts = { readonly passed: number; readonly failed: number; readonly skipped: readonly string[] }

function setUp(): readonly string[] {
  const obstacle = installMissing(testParts)
  const reasons = missingOf(testParts).map((part) => `${part.package} is missing: ${part.neededBy}`)
  if (obstacle !== undefined && reasons.length > 0) reasons.push(obstacle)
  if (!isRoot()) reasons.push('not root: mounts, owners, devices and trusted xattrs')
  for (const reason of reasons) console.log(`set-up     ! will be skipped: ${reason}`)
  return reasons
}

function runTests(filters: readonly string[]): Counts {
  using dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-test-'))
  const file = join(dir.path, 'report.json')
  const vitest = join(top, 'node_modules/vitest/vitest.mjs')
  const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, ...filters]
  const { status } = spawnSync(process.execPath, [vitest, ...args], { cwd: top, stdio: 'inherit' })
  const counts = count(file)
  // An error outside any test (an unhandled rejection, a crashed worker) fails vitest without failing a test.
  return status !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts
}

function count(file: string): Counts {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    console.error('vitest wrote no report')
    return { passed: 0, failed: 1, skipped: [] }
  }
  const files = Report.parse(JSON.parse(text)).testResults
  const tests = files.flatMap((each) => each.assertionResults.map((test) => ({ ...test, file: relative(top, each.name) })))
  // A file that fails outside its tests (an import, a hook) fails once.
  const broken = files.filter(
    (each) => each.status === 'failed' && !each.assertionResults.some((test) => test.status === 'failed'),
  )
  return {
    passed: tests.filter((test) => test.status === 'passed').length,
    failed: tests.filter((test) => test.status === 'failed').length + broken.length,
    skipped: tests
      .filter((test) => test.status !== 'passed' && test.status !== 'failed')
      .map((test) => `${test.file}: ${test.fullName}`),
  }
}

const reasons = setUp()
const checks = staticChecks()
const tests = runTests(process.argv.slice(2))

for (const name of tests.skipped) console.log(`skipped    ${name}`)
if (tests.skipped.length > 0) for (const reason of reasons) console.log(`because    ${reason}`)
for (const name of checks.failed) console.log(`failed     ${name}`)
const passed = tests.passed + checks.passed.length
const failed = tests.failed + checks.failed.length
process.exitCode = failed === 0 ? 0 : 1
console.log(`${passed} passed, ${failed} failed${tests.skipped.length === 0 ? '' : `, ${tests.skipped.length} skipped`}`)
