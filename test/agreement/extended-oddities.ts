/** Extended headers as they should not be: PAX, global, GNU's long names, and all of them together. */

import { paxRecord, type TarPart } from '../support/tar.ts'
import { another, body, extended, file, g, gnuLong, link, type Oddity, odd, pax, type Records, x } from './oddity.ts'

export const extendedOddities: readonly Oddity[] = [
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
]
