/** Several layers that come to the end of one disk at once. */
import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdtempDisposableSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { failureOf } from '../../src/failure/failure.ts'
import { sha256 } from '../../src/oci/digest.ts'
import { Budget } from '../../src/unpack/budget.ts'
import { limits } from './lab.ts'

const isRoot = process.getuid?.() === 0
if (!isRoot) console.warn('skipped: a small disk needs root to be mounted')

test.skipIf(!isRoot)('four at once stop before a small disk is full', () => {
  using temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-budget-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', temporary.path])
  using _mount = { [Symbol.dispose]: () => execFileSync('umount', [temporary.path]) }
  const piece = Buffer.alloc(2 ** 16, 1)
  const layers = [1, 2, 3, 4].map((name) => ({
    budget: new Budget(limits, { dir: temporary.path, digest: sha256(Buffer.from(`${name}`)), blobSize: undefined }),
    file: join(temporary.path, `${name}`),
    unpacked: 0,
  }))
  const fill = (): void => {
    for (;;)
      for (const layer of layers) {
        appendFileSync(layer.file, piece)
        layer.unpacked += piece.length
        layer.budget.unpacked(layer.unpacked, layer.unpacked)
      }
  }
  const failure = failureOf(caught(fill))
  // Not of the kernel: it names an operation.
  expect(failure).toEqual({ kind: 'no-space', path: temporary.path, code: 'ENOSPC' })
  expect(statfsSync(temporary.path).bavail).toBeGreaterThan(0)
})

function caught(work: () => void): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}
