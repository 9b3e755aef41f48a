/** What writers and attackers do to a member's headers. */
import type { Random } from '../support/random.ts'
import { number, paxRecord, type TarEntry, type TarPart, writeChecksum } from '../support/tar.ts'

/** Makes a member odd; it may take other headers before it, and other members after it. */
export type Oddity = { readonly name: string; readonly apply: (entry: TarEntry, random: Random) => readonly TarPart[] }

const odd = (name: string, apply: Oddity['apply']): Oddity => ({ name, apply })
const field = (name: string, at: number, values: readonly [string, ...string[]]): Oddity =>
  odd(name, (entry, random) => [withHeader(entry, (block) => block.write(random.pick(values), at, 'latin1'))])
const pax = (name: string, key: string, values: readonly [string, ...string[]]): Oddity =>
  odd(name, (entry, random) => extended(entry, { [key]: random.pick(values) }))

/** Runs after the edits the member has already. */
function withHeader(entry: TarEntry, edit: (block: Buffer) => void): TarEntry {
  return {
    ...entry,
    header: (block) => {
      entry.header?.(block)
      edit(block)
    },
  }
}

type Records = Readonly<Record<string, string | Uint8Array>>

const body = (all: Records): Buffer => Buffer.concat(Object.entries(all).map(([key, value]) => paxRecord(key, value)))
const x = (all: Records): TarPart => ({
  name: 'PaxHeaders/y',
  flag: 'x',
  content: body(all),
})
/** In the member's own extended header, where its writer makes one: two in a row are an oddity of their own. */
const extended = (entry: TarEntry, all: Records): readonly TarPart[] =>
  entry.format === 'gnu' ? [x(all), entry] : [{ ...entry, pax: { ...entry.pax, ...all } }]
const g = (all: Readonly<Record<string, string>>): TarPart => ({ global: all })
const gnuLong = (flag: 'L' | 'K', content: string | Buffer): TarPart => ({ name: '././@LongLink', flag, format: 'gnu', content })
const file = (entry: TarEntry): TarEntry => ({ ...entry, type: 'file', content: entry.content ?? 'body' })
const link = (entry: TarEntry, type: 'symlink' | 'hardlink'): TarEntry => {
  const { content: _, ...rest } = entry
  return { ...rest, type, link: entry.link ?? 'target' }
}
const another: TarEntry = { name: 'behind', content: 'another member' }

export const oddities: readonly Oddity[] = [
  pax('PAX path', 'path', ['other', 'very/'.repeat(40), './x', '/abs', 'ends/', 'é']),
  odd('PAX path of raw bytes', (e) => extended(e, { path: Buffer.from([0x78, 0xff, 0xe9]) })),
  pax('PAX path with a NUL', 'path', ['a\0b', '\0', 'a\0']),
  pax('empty PAX value', 'path', ['']),
  pax('empty PAX value', 'linkpath', ['']),
  pax('empty PAX value', 'uid', ['']),
  pax('empty PAX value', 'size', ['']),
  pax('empty PAX value', 'mtime', ['']),
  odd('PAX linkpath', (e, r) =>
    extended(link(e, r.pick(['symlink', 'hardlink'])), { linkpath: r.pick(['there', 'long/'.repeat(40), '/abs']) }),
  ),
  pax('PAX linkpath on anything', 'linkpath', ['there']),
  odd('PAX size', (e) => [{ ...file(e), content: 'x'.repeat(700), size: 0, pax: { size: '700' } }, another]),
  odd('PAX size against the header', (e, r) => [
    { ...file(e), content: 'x'.repeat(1024), size: 1024, pax: { size: r.pick(['512', '0', '1024']) } },
    another,
  ]),
  pax('PAX size that is none', 'size', ['-1', '+5', '0x10', ' 5', '1e3', '99999999999999999999', '5.0', '5 ', '٣']),
  odd('PAX size on a link', (e, r) => [{ ...link(e, r.pick(['symlink', 'hardlink'])), pax: { size: '512' } }, another]),
  odd('PAX size on a directory', (e) => [
    { name: 'dir/', type: 'dir', format: e.format ?? 'pax', pax: { size: '600' } },
    another,
  ]),
  pax('PAX uid', 'uid', ['1', '4294967294', '4294967295', '-1', 'x', '1.5', '007', '+1', ' 1', '18446744073709551616', '1_0']),
  pax('PAX gid', 'gid', ['1', '4294967294', '4294967295', '-2', '', '1e1', '08']),
  pax('PAX mtime', 'mtime', [
    '1',
    '1.5',
    '-1.5',
    '-0.5',
    '1.',
    '.5',
    '1e3',
    'x',
    '1.123456789123',
    '99999999999999',
    '-',
    '+1',
    ' 1',
    'nan',
    'inf',
    '1_0.5',
    '0x1',
  ]),
  odd('PAX key twice', (e, r) => [
    {
      name: 'PaxHeaders/y',
      flag: 'x',
      content: Buffer.concat([paxRecord('path', 'first'), paxRecord('path', r.pick(['second', '']))]),
    },
    e,
  ]),
  odd('PAX unknown keys', (e) =>
    extended(e, { comment: 'x', 'LIBARCHIVE.xattr.user.x': 'eA==', ctime: '1.5', atime: '2', uname: 'x' }),
  ),
  odd('PAX hdrcharset', (e, r) =>
    extended(e, { hdrcharset: r.pick(['BINARY', 'ISO-IR 10646 2000 UTF-8', 'KOI8']), path: Buffer.from([0xe9]) }),
  ),
  odd('PAX xattrs', (e) => [
    { ...e, xattrs: { 'user.x': Buffer.from([0, 10, 61]), 'security.capability': Buffer.alloc(20, 1) } },
  ]),
  odd('PAX twice', (e, r) => [
    x({ path: 'first', mtime: '5' }),
    x(r.pick<Records>([{ path: 'second' }, { uid: '7' }, { mtime: '6' }])),
    e,
  ]),
  odd('PAX malformed', (e, r) => [
    {
      name: 'p',
      flag: 'x',
      content: r.pick([
        '5 a=\n',
        '9 path=x\n',
        '10 path=x\n',
        '8 path=x\n',
        ' 9 path=x\n',
        '09 path=x\n',
        '9  path=x',
        '6 =xy\n',
        '7 pathx\n',
        '0 a=b\n',
        '9 path=x\ngarbage',
        '9 path=x\n\0\0\0',
        '11 pa\nth=x\n',
        '3\n',
        '12 path=x\n',
      ]),
    },
    e,
  ]),
  odd('PAX header empty', (e) => [{ name: 'p', flag: 'x', content: '' }, e]),
  odd('PAX header type X', (e) => [{ name: 'p', flag: 'X', content: body({ path: 'solaris' }) }, e]),
  odd('PAX sparse', (e, r) => [
    x(
      r.pick<Records>([
        { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'real', 'GNU.sparse.realsize': '5' },
        { 'GNU.sparse.map': '0,5', 'GNU.sparse.size': '5' },
        { 'GNU.sparse.name': 'real' },
      ]),
    ),
    file(e),
  ]),
  odd('global comment', (e) => [g({ comment: '0123456789abcdef' }), e, another]),
  odd('global setting', (e, r) => [
    g(
      r.pick<Record<string, string>>([
        { path: 'global' },
        { uid: '77' },
        { mtime: '99' },
        { size: '5' },
        { linkpath: 'g' },
        { gid: '3' },
      ]),
    ),
    e,
    another,
  ]),
  odd('global behind extended', (e) => [x({ path: 'lost?' }), g({ comment: 'x' }), e]),
  odd('global behind a long name', (e) => [gnuLong('L', 'lost?\0'), g({ comment: 'x' }), e]),
  odd('L and PAX path', (e, r) => {
    const both: TarPart[] = [gnuLong('L', 'by-L\0'), x({ path: r.pick(['by-PAX', 'by-L']) })]
    return [...(r.chance(0.5) ? both : both.reverse()), e]
  }),
  odd('L and PAX size', (e, r) => {
    const both: TarPart[] = [gnuLong('L', `${'n'.repeat(150)}\0`), x({ size: '700' })]
    const sized = { ...file(e), name: 'short', content: 'y'.repeat(700), size: 0 }
    return [...(r.chance(0.5) ? both : both.reverse()), sized, another]
  }),
  odd('L and PAX mtime', (e) => [x({ mtime: '77.5' }), gnuLong('L', 'by-L\0'), { ...e, name: 'short', format: 'gnu' }]),
  odd('L, K and PAX', (e) => [
    gnuLong('K', 'by-K\0'),
    gnuLong('L', 'by-L\0'),
    x({ uid: '7' }),
    { ...link(e, 'symlink'), name: 'short', link: 'short', format: 'gnu' },
  ]),
  odd('K and PAX linkpath', (e) => [gnuLong('K', 'by-K\0'), x({ linkpath: 'by-PAX' }), link(e, 'symlink')]),
  odd('L twice', (e) => [gnuLong('L', 'first\0'), gnuLong('L', 'second\0'), e]),
  odd('K and L', (e) => [gnuLong('K', `${'k'.repeat(120)}\0`), gnuLong('L', `${'l'.repeat(130)}\0`), link(e, 'hardlink')]),
  odd('K on anything', (e) => [gnuLong('K', 'nowhere\0'), e]),
  odd('L without NUL', (e) => [gnuLong('L', 'n'.repeat(120)), e]),
  odd('L with NUL inside', (e) => [gnuLong('L', 'before\0behind\0'), e]),
  odd('L empty', (e, r) => [gnuLong('L', r.pick(['', '\0'])), e]),
  odd('L of a directory', (e) => [
    gnuLong('L', 'long/dir/\0'),
    { ...e, name: 'x', type: 'file', content: '', header: (b) => b.fill(0, 156, 157) },
  ]),
  odd('L claims much', (e) => [{ name: '././@LongLink', flag: 'L', format: 'gnu', content: 'x\0', size: 2 ** 30 }, e]),
  odd('base-256', (e, r) => [
    withHeader(file(e), (b) => {
      const at = r.pick([100, 108, 116, 136])
      const width = at === 136 ? 12 : 8
      const low = Number.parseInt(b.toString('latin1', at, at + width - 1), 8)
      number(b, at, width, -1)
      if (r.chance(0.8)) b.fill(0, at, at + width).writeUInt32BE(Number.isNaN(low) ? 0 : low % 2 ** 31, at + width - 4)
      if ((b[at] ?? 0) === 0) b[at] = 0x80
    }),
  ]),
  odd('base-256 size', (e, r) => [
    withHeader({ ...file(e), content: 'z'.repeat(600) }, (b) => {
      b.fill(0, 124, 136).writeUInt16BE(600, 134)
      b[124] = r.pick([0x80, 0x80, 0xff, 0x81, 0xc0])
    }),
    another,
  ]),
  field('size', 124, [
    '-0000000512\0',
    '            ',
    '\0\0\0\0\0\0\0\0\0\0\0\0',
    '0x000000010\0',
    '00000000008\0',
    '77777777777\0',
    '0\0garbage...',
  ]),
  field('mode', 100, [
    '    644\0',
    '644\0\0\0\0\0',
    '0000644 ',
    '00000644',
    '        ',
    '\0\0\0\0\0\0\0\0',
    '0o00644\0',
    '\0 00644\0',
    '644 755\0',
    '-000644\0',
    '+000644\0',
    '00_0644\0',
    '644\0xyz\0',
    ' 644 \0  ',
    '0000899\0',
  ]),
  field('uid', 108, [
    '        ',
    '\0\0\0\0\0\0\0\0',
    '7777777\0',
    '77777777',
    '      1\0',
    '1\0\0\0\0\0\0\0',
    '1       ',
    '-000001\0',
    'root\0\0\0\0',
    '1\x001111\0\0',
  ]),
  field('mtime', 136, [
    '            ',
    '\0\0\0\0\0\0\0\0\0\0\0\0',
    '777777777777',
    '-0000000001\0',
    '14000000000 ',
    '1\0\0\0\0\0\0\0\0\0\0\0',
    '+4000000000\0',
  ]),
  field('device fields', 329, ['garbage', '        ', '\0\0\0\0\0\0\0\0', '0000012 0000034 ']),
  odd('signed checksum', (e) => [{ ...e, name: Buffer.from([0xe9, 0xe9, 0xff]), corrupt: (b) => signChecksum(b) }]),
  odd('checksum written otherwise', (e, r) => [
    { ...e, corrupt: (b) => rewriteChecksum(b, r.pick(['n0', 's0', '7', 'leading', 'trim'])) },
  ]),
  odd('wrong checksum', (e, r) => [{ ...e, corrupt: (b) => b.writeUInt8((b[r.below(100)] ?? 0) ^ 1, r.below(100)) }]),
  odd('blank checksum', (e, r) => [{ ...e, corrupt: (b) => b.fill(r.pick([' ', '\0']), 148, 156) }]),
  odd('prefix', (e, r) => [
    withHeader({ ...e, name: 'base' }, (b) => b.write(r.pick(['pre/fix', '/', 'p', 'p/', 'é', 'p'.repeat(155)]), 345)),
  ]),
  odd('prefix and PAX path', (e) => [
    ...extended(
      withHeader({ ...e, name: 'base' }, (b) => b.write('prefix', 345)),
      { path: 'by-PAX' },
    ),
  ]),
  odd('prefix alone', (e) => [withHeader({ ...e, name: '' }, (b) => b.write('only/prefix', 345))]),
  odd('prefix with a GNU magic', (e, r) => [
    withHeader({ ...e, name: 'base', format: 'gnu' }, (b) =>
      b.write(r.pick(['prefix', '14371234567\x0014371234567\0', 'a/b', 'pré']), 345),
    ),
  ]),
  odd('odd magic', (e, r) => [
    withHeader(e, (b) =>
      b.write(
        r.pick([
          'ustar\0\0\0',
          'ustar  \0',
          'ustar   ',
          'ustar\x0000',
          'ustar\x0001',
          'ustar 00',
          'USTAR\x0000',
          'tar\0\0\0\0\0',
          'xxxxxxxx',
        ]),
        257,
        'latin1',
      ),
    ),
  ]),
  odd('odd magic and a prefix', (e, r) => [
    withHeader(
      { ...e, name: 'base' },
      (b) =>
        b.write('prefix', 345) &&
        b.write(r.pick(['ustar\0\0\0', 'ustar   ', 'ustar\x0001', 'ustar 00', 'xxxxxxxx']), 257, 'latin1'),
    ),
  ]),
  odd('star', (e, r) => [withHeader(e, (b) => b.write('p'.repeat(r.pick([1, 131])), 345) && b.write('tar\0', 508))]),
  odd('link with a size', (e, r) => [{ ...link(e, 'symlink'), size: r.pick([1, 512, 700]) }, another]),
  odd('hard link with a size', (e, r) => [{ ...link(e, 'hardlink'), size: r.pick([1, 512, 700]) }, another]),
  odd('hard link with a body', (e) => [{ ...link(e, 'hardlink'), content: 'body of a link' }, another]),
  odd('directory with a size', (e, r) => [
    { ...e, content: '', name: 'dir/', type: 'dir', size: r.pick([1, 512, 700]) },
    another,
  ]),
  odd('device or fifo with a size', (e, r) => [
    { ...e, content: '', type: r.pick(['char', 'block', 'fifo']), size: r.pick([1, 512]) },
    another,
  ]),
  odd('negative size of a directory', (e) => [{ ...e, content: '', type: 'dir', size: -512 }, another]),
  odd('a file with a slash', (e, r) => [
    { ...file(e), name: 'file/', header: (b) => b.write(r.pick(['0', '\0']), 156, 'latin1') },
    another,
  ]),
  odd('a PAX file with a slash', (e, r) => [
    x({ path: 'file/' }),
    { ...file(e), name: 'file', header: (b) => b.write(r.pick(['0', '\0']), 156, 'latin1') },
    another,
  ]),
  odd('unknown type', (e, r) => [{ ...e, flag: '789SVMDNAZIRxz@'.charAt(r.below(15)) }, another]),
  odd('the same header twice', (e) => [e, e]),
  odd('the same name twice', (e) => [e, { name: e.name, content: 'again' }]),
  odd('empty name', (e) => [{ ...e, name: '' }]),
  odd('a name of slashes', (e, r) => [{ ...e, name: r.pick(['/', '//', './/', '..', '../']) }]),
  odd('a link to nothing', (e, r) => [{ ...link(e, r.pick(['symlink', 'hardlink'])), link: '' }]),
  odd('extended at the end', (e, r) => [
    e,
    r.pick([x({ path: 'nobody' }), gnuLong('L', 'nobody\0'), g({ comment: 'x' })]),
    { raw: Buffer.alloc(1024) },
  ]),
  odd('one zero block', (e) => [e, { raw: Buffer.alloc(512) }, another]),
  odd('two zero blocks', (e) => [e, { raw: Buffer.alloc(1024) }, another]),
  odd('zero block behind extended', (e) => [x({ path: 'p' }), { raw: Buffer.alloc(512) }, e]),
]

function signChecksum(block: Buffer): void {
  writeChecksum(block)
  block.fill(' ', 148, 156)
  const sum = block.reduce((total, byte) => total + ((byte << 24) >> 24), 0)
  block.write(`${Math.max(sum, 0).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
}

function rewriteChecksum(block: Buffer, how: 'n0' | 's0' | '7' | 'leading' | 'trim'): void {
  const digits = block.toString('latin1', 148, 154)
  const short = digits.replace(/^0+/, '')
  const text = {
    n0: `${digits}\0\0`,
    s0: `${digits} \0`,
    '7': `0${digits}\0`,
    leading: `  ${digits}`,
    trim: `${short}\0`.padEnd(8, ' '),
  }[how]
  block.write(text, 148, 'latin1')
}
