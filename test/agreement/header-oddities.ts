/** Headers as they should not be: numbers, checksums, prefixes, magics, sizes, types, and what stands between them. */

import { number, writeChecksum } from '../support/tar.ts'
import { another, extended, field, file, g, gnuLong, link, type Oddity, odd, withHeader, x } from './oddity.ts'

export const headerOddities: readonly Oddity[] = [
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
