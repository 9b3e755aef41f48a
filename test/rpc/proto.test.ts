import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { expect, it } from 'vitest'

const top = resolve(import.meta.dirname, '../..')

function filesBelow(dir: string): Record<string, string> {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort()
  return Object.fromEntries(paths.map((path) => [relative(dir, path), readFileSync(path, 'utf8')]))
}

it('has generated types that are those of proto/ (else: npm run proto)', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'windlass-proto-'))
  const fresh = join(dir.path, 'generated')
  execFileSync(process.execPath, [join(top, 'scripts/proto.ts'), fresh])
  const committed = filesBelow(join(top, 'src/rpc/generated'))
  expect(Object.keys(committed).length).toBeGreaterThan(40)
  expect(committed).toEqual(filesBelow(fresh))
  expect(Object.values(committed).filter((text) => text.includes(top))).toEqual([])
})
