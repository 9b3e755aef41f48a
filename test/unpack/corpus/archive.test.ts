/** T26, T35–T43: what an archive says about itself. */
import { readFileSync, readlinkSync } from 'node:fs'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { TarReader } from '../../../src/unpack/tar/reader.ts'
import { TarStream } from '../../../src/unpack/tar/stream.ts'
import { number, paxRecord, type TarPart, tar } from '../../support/tar.ts'
import { diffIdOf, namesIn } from '../lab.ts'
import { badLayer, isRoot, useCorpus } from './corpus.ts'

/** The extended header alone, to stand in front of what the writer would not put there. */
const extended = (records: Readonly<Record<string, string>>): TarPart => ({
  name: 'PaxHeaders/x',
  flag: 'x',
  content: Buffer.concat(Object.entries(records).map(([key, value]) => paxRecord(key, value))),
})
const longName = (flag: 'L' | 'K', text: string): TarPart => ({
  name: '././@LongLink',
  flag,
  content: `${text}\0`,
  format: 'gnu',
})

describe.skipIf(!isRoot)('an archive', () => {
  const { lab, diffOf, unpack, refusalOf } = useCorpus()

  it.each(['7', 'S', 'M', 'V', 'D', 'A', ' '])('T26 type %s is refused', async (flag) => {
    expect(await refusalOf([{ name: 'x', flag, format: 'gnu' }])).toMatchObject({ ...badLayer, entry: '"x"' })
  })

  it('T35 long names in every form are decoded', async () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(120)}/f`
    for (const format of ['pax', 'gnu'] as const) {
      const diff = await diffOf([
        { name: long, content: 'x', format },
        { name: 'l', type: 'symlink', link: long, format },
      ])
      expect(readFileSync(`${diff}/${long}`, 'utf8')).toBe('x')
      expect(readlinkSync(`${diff}/l`)).toBe(long)
    }
    const prefix = await diffOf([{ name: 'f', content: 'ustar', header: (block) => block.write('a/prefix', 345) }])
    expect(readFileSync(`${prefix}/a/prefix/f`, 'utf8')).toBe('ustar')
  })

  it('T35 GNU and PAX mixed, and a prefix where GNU has times, are read as Go reads them', async () => {
    const mixed = await diffOf([
      extended({ path: 'from-gnu' }),
      longName('L', 'from-gnu'),
      { name: 'header', content: 'x', format: 'gnu' },
    ])
    expect(namesIn(mixed)).toEqual(['from-gnu'])
    const broken = await diffOf([
      { name: 'f', content: 'x', format: 'gnu', header: (block) => block.write('old/go/prefix', 345) },
    ])
    expect(readFileSync(`${broken}/old/go/prefix/f`, 'utf8')).toBe('x')
  })

  it('T35 an extended header of more than 1 MiB is refused before it is read', async () => {
    for (const flag of ['x', 'g', 'L', 'K'])
      expect(await refusalOf([{ name: 'h', flag, size: 2 ** 20 + 1, content: 'x' }])).toMatchObject({
        ...badLayer,
        reason: expect.stringContaining('1 MiB'),
      })
  })

  it('T36 an extended size is the file’s, not that of the long name in between', async () => {
    for (const flag of ['L', 'K'] as const) {
      const diff = await diffOf([
        extended({ size: '3' }),
        longName(flag, 'named'),
        { name: 'f', content: 'xyz', size: 0 },
        { name: 'next' },
      ])
      expect(namesIn(diff)).toEqual([flag === 'L' ? 'named' : 'f', 'next'].toSorted())
      expect(readFileSync(`${diff}/${flag === 'L' ? 'named' : 'f'}`, 'utf8')).toBe('xyz')
    }
  })

  it('T36 an extended size wins over the header’s', async () => {
    const diff = await diffOf([
      { name: 'sized', content: 'xyz', size: 512 * 9, pax: { size: '3' } },
      { name: 'next', content: 'n' },
    ])
    expect(readFileSync(`${diff}/sized`, 'utf8')).toBe('xyz')
    expect(readFileSync(`${diff}/next`, 'utf8')).toBe('n')
  })

  it('T37 base-256 sizes are read; negative ones, and those beyond 2⁵³, are refused', async () => {
    const sized = (size: number): Buffer => tar([{ name: 'x', header: (block) => number(block, 124, 12, size) }])
    const blocks = [sized(9 * 2 ** 30)].values()
    const reader = new TarReader(new TarStream(() => blocks.next().value), { raw: () => {} })
    expect(reader.next()?.size).toBe(9 * 2 ** 30)
    for (const size of [-1, -512, 2 ** 60]) expect(await lab().refusal(sized(size))).toMatchObject(badLayer)
    expect(await refusalOf([{ name: 'x', pax: { size: '-512' } }])).toMatchObject(badLayer)
    expect(await refusalOf([{ name: 'x', pax: { size: '99999999999999999999' } }])).toMatchObject(badLayer)
  })

  it('T38 links and directories have no body, whatever their size says', async () => {
    const withSize = (block: Buffer): void => number(block, 124, 12, 511)
    const diff = await diffOf([
      { name: 'f', content: 'x' },
      { name: 's', type: 'symlink', link: 'f', header: withSize },
      { name: 'h', type: 'hardlink', link: 'f', header: withSize },
      { name: 'd/', type: 'dir', header: withSize },
      { name: 'p', type: 'fifo', header: withSize },
      { name: 'g', content: 'y' },
    ])
    expect(namesIn(diff)).toEqual(['d', 'f', 'g', 'h', 'p', 's'])
  })

  it('T39 a global header changes nothing and makes nothing', async () => {
    const { layer, implied, diff } = await unpack([
      { name: 'not/made/header', flag: 'g', content: paxRecord('comment', 'elsewhere') },
      { name: 'f', content: 'x' },
    ])
    expect(namesIn(diff)).toEqual(['f'])
    expect(layer.entries).toBe(1)
    expect(implied).toEqual([])
  })

  const file = tar([{ name: 'f', content: 'x'.repeat(5_000) }])
  it.each([
    ['a bad checksum', tar([{ name: 'f', corrupt: (block) => block.write('999999', 148) }])],
    ['junk', Buffer.alloc(2_048, 'junk')],
    ['junk between members', Buffer.concat([tar([{ name: 'f' }], { end: false }), Buffer.alloc(512, 'j'), file])],
    ['an end in a header', file.subarray(0, 300)],
    ['an end in a body', file.subarray(0, 2_000)],
    ['an end behind an extended header', tar([extended({ path: 'x' })])],
    ['data behind one block of zeros', Buffer.concat([Buffer.alloc(512), file])],
    ['an end within the second block of zeros', Buffer.concat([tar([{ name: 'f' }], { end: false }), Buffer.alloc(700)])],
  ])('T40 %s is refused', async (_what, blob) => {
    expect(await lab().refusal(blob)).toMatchObject(badLayer)
  })

  it('T40 a missing trailer, half a trailer, and missing padding at the end are accepted', async () => {
    const whole = tar([{ name: 'f', content: 'x' }], { end: false })
    for (const blob of [whole, Buffer.concat([whole, Buffer.alloc(512)]), whole.subarray(0, 513)])
      expect((await lab().unpack(blob)).layer.entries).toBe(1)
  })

  it('T41 what follows the end is hashed, and never parsed', async () => {
    const behind = Buffer.concat([tar([{ name: 'f', content: 'x' }]), tar([{ name: 'hidden' }]), Buffer.alloc(20_000_000)])
    const { layer, diff } = await lab().unpack(behind)
    expect(layer).toMatchObject({ entries: 1, diffSize: behind.length })
    expect(namesIn(diff)).toEqual(['f'])
  })

  it('T42 an empty stream is an empty layer', async () => {
    const nothing = diffIdOf(Buffer.alloc(0))
    for (const blob of [Buffer.alloc(0), gzipSync(''), zstdCompressSync('')])
      expect((await lab().unpack(blob, { diffId: nothing })).layer).toMatchObject({ entries: 0, diffSize: 0 })
    expect((await lab().unpack(tar([]))).layer.entries).toBe(0)
  })

  const layer = tar([
    { name: 'a', content: 'a' },
    { name: 'b', content: 'b'.repeat(3_000) },
  ])
  const halves = [layer.subarray(0, 700), layer.subarray(700)].map((half) => gzipSync(half))
  const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = halves

  it('T43 gzip members are joined, and NULs behind them ignored', async () => {
    const diffId = diffIdOf(layer)
    for (const blob of [Buffer.concat([first, second]), Buffer.concat([first, gzipSync(''), second, Buffer.alloc(777)])])
      expect(namesIn((await lab().unpack(blob, { diffId })).diff)).toEqual(['a', 'b'])
  })

  const badCrc = gzipSync(layer)
  badCrc.writeUInt8(badCrc.readUInt8(badCrc.length - 8) ^ 1, badCrc.length - 8)
  const badSize = gzipSync(layer)
  badSize.writeUInt32LE(1, badSize.length - 4)
  it.each([
    ['junk behind the members', Buffer.concat([first, second, Buffer.from('junk')])],
    ['a member behind NULs, which others drop in silence', Buffer.concat([first, Buffer.alloc(8), second])],
    ['a wrong checksum', badCrc],
    ['a wrong length', badSize],
    ['an end in the trailer', gzipSync(layer).subarray(0, -3)],
    ['an end in the data', gzipSync(layer).subarray(0, -20)],
  ])('T43 gzip with %s is refused', async (_what, blob) => {
    expect(await lab().refusal(blob, { diffId: diffIdOf(layer) })).toMatchObject(badLayer)
  })
})
