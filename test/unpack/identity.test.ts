import { spawnSync } from 'node:child_process'
import { mkdtempDisposableSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tar } from '../support/tar.ts'

const isRoot = process.getuid?.() === 0
if (!isRoot) console.warn('skipped: giving up root needs root')

const script = `
import { readFileSync } from 'node:fs'
import { sha256 } from '${import.meta.resolve('../../src/oci/digest.ts')}'
import { createUnpacker } from '${import.meta.resolve('../../src/unpack/pool.ts')}'
const [blobFile, dir] = process.argv.slice(2)
const blob = readFileSync(blobFile)
const digest = sha256(blob)
const limits = { maxUnpackedSize: 2 ** 30, maxLayerEntries: 100, maxCompressionRatio: 1000 }
await using unpacker = createUnpacker({ workers: 1, limits, staging: dir, layers: dir, warn: console.warn })
try {
  const source = { kind: 'blob', digest, size: blob.length, host: 'test' }
  await using unpacking = await unpacker.open({ dir, diffId: digest, source }, new AbortController())
  await unpacking.write(blob)
  await unpacking.finish()
  console.log('unpacked')
} catch (error) {
  console.log(error.failure?.kind ?? error)
}
`

/** Unpacks a layer of root's files in a process with another identity. */
function unpackAs(identity: readonly string[]): { readonly said: string; readonly owner: string } {
  using dir = mkdtempDisposableSync(join(tmpdir(), 'windlass-identity-'))
  const layer = tar([
    { name: 'made/up/file', content: 'x' },
    { name: 'd/', type: 'dir' },
    { name: 's', type: 'symlink', link: 'x' },
  ])
  const blob = join(dir.path, 'blob')
  writeFileSync(blob, layer)
  writeFileSync(join(dir.path, 'unpack.ts'), script)
  spawnSync('chmod', ['-R', '0777', dir.path])
  const { stdout, stderr } = spawnSync('setpriv', [...identity, process.execPath, join(dir.path, 'unpack.ts'), blob, dir.path], {
    encoding: 'utf8',
  })
  const owners = ['diff', 'diff/made', 'diff/made/up/file', 'diff/d'].flatMap((name) => {
    const stat = statSync(join(dir.path, name), { throwIfNoEntry: false })
    return stat === undefined ? [] : [`${stat.uid}:${stat.gid}`]
  })
  return { said: `${stdout}${stderr}`.trim(), owner: [...new Set(owners)].join() }
}

describe.skipIf(!isRoot)('whoever unpacks', () => {
  it('as root in another group makes root:root', () => {
    expect(unpackAs(['--regid=1234', '--clear-groups'])).toEqual({ said: 'unpacked', owner: '0:0' })
  })

  it('as nobody is refused before anything is made', () => {
    expect(unpackAs(['--reuid=65534', '--regid=65534', '--clear-groups'])).toEqual({ said: 'not-permitted', owner: '' })
  })
})
