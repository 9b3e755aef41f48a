/** T27: sparse files in PAX archives are expanded, holes stay holes, and the tar can still be put together again. */
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  mkdtempDisposableSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { which } from '../../../scripts/machine.ts'
import { paxRecord, type TarPart, tar } from '../../support/tar.ts'
import { diffIdOf, isEmulated, splitLines, type Unpacked } from '../lab.ts'
import { badLayer, isRoot, useCorpus } from './corpus.ts'

const hole = 2 ** 20
const records = (all: readonly (readonly [string, string])[]): Buffer =>
  Buffer.concat(all.map(([key, value]) => paxRecord(`GNU.sparse.${key}`, value)))
const sparse = (header: readonly (readonly [string, string])[], content: string | Buffer): TarPart[] => [
  { name: 'PaxHeaders/x', flag: 'x', content: records(header) },
  { name: 'GNUSparseFile.0/f', content },
]
const map = (text: string): Buffer => Buffer.concat([Buffer.from(text), Buffer.alloc((512 - (text.length % 512)) % 512)])
const v00 = sparse(
  [
    ['size', String(hole + 10)],
    ['numblocks', '2'],
    ['offset', '0'],
    ['numbytes', '3'],
    ['offset', String(hole)],
    ['numbytes', '4'],
  ],
  'abcdefg',
)
const v01 = sparse(
  [
    ['name', 'dir/f'],
    ['size', String(hole + 10)],
    ['numblocks', '2'],
    ['map', `0,3,${hole},4`],
  ],
  'abcdefg',
)
const v10Header = [
  ['major', '1'],
  ['minor', '0'],
  ['name', 'dir/f'],
  ['realsize', String(hole + 10)],
] as const
const v10 = sparse(v10Header, Buffer.concat([map(`2\n0\n3\n${hole}\n4\n`), Buffer.from('abcdefg')]))
const expanded = Buffer.concat([Buffer.from('abc'), Buffer.alloc(hole - 3), Buffer.from('defg'), Buffer.alloc(6)])

describe.skipIf(!isRoot)('T27 sparse files', () => {
  const { lab, unpack, diffOf, refusalOf } = useCorpus({ maxUnpackedSize: 2 ** 40 })

  it.each([
    ['0.0', v00, 'GNUSparseFile.0/f'],
    ['0.1', v01, 'dir/f'],
    ['1.0', v10, 'dir/f'],
  ])('T27 format %s is expanded with its holes', async (_format, parts, name) => {
    const { diff, layer } = await unpack([...parts, { name: 'next', content: 'n' }])
    expect(readFileSync(`${diff}/${name}`).equals(expanded)).toBe(true)
    expect(statSync(`${diff}/${name}`).blocks * 512).toBeLessThan(hole / 2)
    expect(readFileSync(`${diff}/next`, 'utf8')).toBe('n')
    expect(layer.entries).toBe(2)
  })

  it.skipIf(isEmulated)('T27 tar-split keeps the packed data, and gives the tar again', async () => {
    const blob = tar([...v01, ...v10, { name: 'next', content: 'n' }])
    const first = await lab().unpack(blob)
    const lines = splitLines(first.tarSplit)
    expect(lines.filter(({ type, name }) => type === 1 && name === 'dir/f').map(({ payload }) => payload)).toEqual([null, null])
    const again = await replayed(first, blob)
    expect(readFileSync(`${again}/dir/f`).equals(expanded)).toBe(true)
    expect(statSync(`${again}/dir/f`).blocks * 512).toBeLessThan(hole / 2)
  })

  async function replayed({ diff, tarSplit }: Unpacked, blob: Buffer): Promise<string> {
    const dir = await lab().dir()
    const options = { signal: new AbortController().signal }
    const job = { dir, diffId: diffIdOf(blob), source: { kind: 'local', diff, tarSplit } } as const
    await using unpacking = await lab().unpacker.open(job, options)
    await unpacking.finish()
    return `${dir}/diff`
  }

  it('T48 a file of more than 8 GiB', async () => {
    const size = 9 * 2 ** 30
    const diff = await diffOf(
      sparse(
        [
          ['major', '1'],
          ['minor', '0'],
          ['name', 'f'],
          ['realsize', String(size)],
        ],
        Buffer.concat([map(`1\n${size - 1}\n1\n`), Buffer.from('x')]),
      ),
    )
    expect(statSync(`${diff}/f`).size).toBe(size)
  })

  it('T27 holes count towards the unpacked size', async () => {
    const size = String(2 ** 41)
    expect(
      await refusalOf(
        sparse(
          [
            ['size', size],
            ['numblocks', '0'],
            ['map', ''],
          ],
          '',
        ),
      ),
    ).toMatchObject({
      kind: 'bad-layer',
    })
    expect(
      await refusalOf(
        sparse(
          [
            ['major', '1'],
            ['minor', '0'],
            ['realsize', size],
          ],
          map('0\n'),
        ),
      ),
    ).toMatchObject({
      kind: 'limit',
      setting: 'limits.maxUnpackedSize',
    })
  })

  const body = (text: string): TarPart[] => sparse(v10Header, Buffer.concat([map(text), Buffer.from('abcdefg')]))
  it.each([
    ['a map of more than 1 MiB', sparse(v10Header, map(`1000000\n${'1\n'.repeat(2 ** 19)}`))],
    ['a map longer than the body', sparse(v10Header, '2\n0\n')],
    ['overlapping data', body(`2\n0\n4\n2\n3\n`)],
    ['data out of order', body(`2\n100\n4\n0\n3\n`)],
    ['data behind the end', body(`2\n0\n3\n${hole + 9}\n4\n`)],
    ['less data than the map says', body(`2\n0\n3\n${hole}\n9\n`)],
    ['more data than the map says', body(`1\n0\n3\n`)],
    ['a negative offset', body(`2\n-1\n3\n${hole}\n4\n`)],
    ['a number that is none', body(`2\nx\n3\n${hole}\n4\n`)],
    ['an overflowing offset', body(`1\n9223372036854775807\n7\n`)],
    [
      'half an extent',
      sparse(
        [
          ['size', '10'],
          ['numblocks', '1'],
          ['map', '0,3,4'],
        ],
        'abc',
      ),
    ],
    [
      'another count than extents',
      sparse(
        [
          ['size', '10'],
          ['numblocks', '7'],
          ['map', '0,3'],
        ],
        'abc',
      ),
    ],
    [
      'pairs out of order',
      sparse(
        [
          ['size', '10'],
          ['numblocks', '1'],
          ['numbytes', '3'],
          ['offset', '0'],
        ],
        'abc',
      ),
    ],
    [
      'two sizes',
      sparse(
        [
          ['size', '10'],
          ['realsize', '11'],
          ['numblocks', '1'],
          ['map', '0,3'],
        ],
        'abc',
      ),
    ],
    [
      'an unknown version',
      sparse(
        [
          ['major', '2'],
          ['minor', '0'],
          ['size', '3'],
          ['map', '0,3'],
        ],
        'abc',
      ),
    ],
    ['a map for a directory', [...sparse(v10Header, '').slice(0, 1), { name: 'd/', type: 'dir' }]],
  ] satisfies [string, TarPart[]][])('T27 %s is refused', async (_what, parts) => {
    expect(await refusalOf(parts)).toMatchObject(badLayer)
  })

  it.skipIf(which('tar') === undefined).each(['0.0', '0.1', '1.0'])(
    'T27 what GNU tar writes as %s is the file it read',
    async (version) => {
      using temporary = mkdtempDisposableSync(join(tmpdir(), 'windlass-sparse-'))
      const path = join(temporary.path, 'f')
      writeFileSync(path, 'start')
      truncateSync(path, 9_000_000)
      const fd = openSync(path, 'r+')
      for (let at = 1; at < 9; at++) writeSync(fd, `data ${at}`, at * 1_000_000)
      closeSync(fd)
      const made = spawnSync('tar', ['-C', temporary.path, '-cS', '--format=pax', `--sparse-version=${version}`, 'f'], {
        maxBuffer: 2 ** 24,
      })
      expect(made.stdout.length).toBeLessThan(1_000_000)
      const { diff } = await lab().unpack(made.stdout)
      expect(readFileSync(`${diff}/f`).equals(readFileSync(path))).toBe(true)
    },
  )
})
